"""`mlops deploy manifests` writes what kustomize builds: it is valid, fits together, and may do nothing else."""

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from baked import Bake, Project
from custom_resources import HTTP_ROUTE, INFERENCE_SERVICE, PREDICTOR
from mlops_actions.core.config import load_config

FOLDER = "deploy/kubernetes"
Object = dict[str, Any]
Build = Callable[[str], list[Object]]

APPLIED = ["single", "gateway", "kserve"]
CUSTOM = {"HTTPRoute": HTTP_ROUTE, "InferenceService": INFERENCE_SERVICE}
VERSIONS = ["1.30.0", kubernetes_validate.latest_version()]
OPEN_PATHS = ("/predict", "/feedback", "/v2")
HEALTH = {"/v2/health/ready", "/v2/health/live"}


@pytest.fixture(scope="module")
def generated(bake: Bake) -> Project:
    """A project whose images go to a registry, with its manifests."""
    project = bake(container_registry="ghcr.io", github_owner="Acme")
    write_manifests(project)
    return project


def write_manifests(project: Project, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return project.run("mlops", "deploy", "manifests", *options, check=check)


def manifests_of(project: Project, folder: str = FOLDER) -> dict[str, str]:
    """Every file below a folder of a project, by its path there."""
    return {
        name.removeprefix(f"{folder}/"): project.read(name) for name in project.files() if name.startswith(f"{folder}/")
    }


@pytest.fixture(scope="module")
def build(generated: Project) -> Build:
    """`build("single")`: the objects that kustomize makes of a folder."""
    made: dict[str, list[Object]] = {}

    def objects(name: str) -> list[Object]:
        if name not in made:
            made[name] = kustomize(generated, name)
        return made[name]

    return objects


def kustomize(project: Project, name: str) -> list[Object]:
    """The objects of a folder, as the kustomize inside kubectl builds them."""
    said = project.run("kubectl", "kustomize", f"{FOLDER}/{name}")
    assert not said.stderr, said.stderr
    return list(yaml.safe_load_all(said.stdout))


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    found = [one for one in objects if one["kind"] == kind]
    assert found, f"there is no {kind}"
    return found


def pods(objects: list[Object]) -> list[Object]:
    """The pod of each Deployment and InferenceService, as an object that Kubernetes knows."""
    made = [one["spec"]["template"] for one in objects if one["kind"] == "Deployment"]
    for one in (one for one in objects if one["kind"] == "InferenceService"):
        rest = {key: value for key, value in one["spec"]["predictor"].items() if key not in PREDICTOR}
        made.append({"metadata": {"labels": {}}, "spec": rest})
    assert made, "there is no pod"
    return [{"apiVersion": "v1", "kind": "Pod", **one} for one in made]


def containers(objects: list[Object]) -> list[Object]:
    return [one for pod in pods(objects) for one in pod["spec"]["containers"]]


def selects(selector: Object, labels: Object) -> bool:
    return bool(selector) and selector.items() <= labels.items()


def deployments(objects: list[Object]) -> list[Object]:
    return of_kind(objects, "Deployment")


def selectors(objects: list[Object], kind: str) -> list[tuple[str, Object]]:
    """The name of each object of a kind, and the labels that it asks for."""
    if kind == "spread":
        spreads = [(one, spread) for one in deployments(objects) for spread in spread_of(one)]
        return [(one["metadata"]["name"], spread["labelSelector"]["matchLabels"]) for one, spread in spreads]
    place = "podSelector" if kind == "NetworkPolicy" else "selector"
    found = [(one["metadata"]["name"], one["spec"][place]) for one in of_kind(objects, kind)]
    return [(name, selector.get("matchLabels", selector)) for name, selector in found]


def spread_of(deployment: Object) -> list[Object]:
    spreads: list[Object] = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spreads] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    return spreads


def probes(container: Object) -> list[Object]:
    found = {name: container[name] for name in container if name.endswith("Probe")}
    assert {"readinessProbe", "livenessProbe"} <= found.keys()
    assert found["livenessProbe"]["httpGet"]["path"].endswith("/live")
    assert found["readinessProbe"]["httpGet"]["path"].endswith("/ready")
    return list(found.values())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["base", *APPLIED])
def test_every_object_is_valid(build: Build, name: str, version: str) -> None:
    for one in build(name):
        if one["kind"] in CUSTOM:
            jsonschema.validate(one, CUSTOM[one["kind"]])
        else:
            kubernetes_validate.validate(one, version, strict=True)
    if name == "kserve":
        for pod in pods(build(name)):
            kubernetes_validate.validate(pod, version, strict=True)


def test_every_file_is_built(generated: Project) -> None:
    root = generated.path / FOLDER
    for file in root.rglob("kustomization.yaml"):
        named = yaml.safe_load(file.read_text())["resources"]
        beside = {path.name for path in file.parent.iterdir()} - {file.name}
        assert beside <= set(named) and all((file.parent / name).exists() for name in named), file
    assert {path.parent for path in root.rglob("*.yaml")} == {path.parent for path in root.rglob("kustomization.yaml")}


@pytest.mark.parametrize("name", APPLIED)
def test_every_name_is_unique_and_of_an_object_that_is_there(build: Build, name: str) -> None:
    objects = build(name)
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(set(names)) == len(names)
    for one in objects:
        if one["kind"] == "HorizontalPodAutoscaler":
            assert ("Deployment", one["spec"]["scaleTargetRef"]["name"]) in names
        if one["kind"] == "Deployment":
            assert ("ServiceAccount", one["spec"]["template"]["spec"]["serviceAccountName"]) in names
        if one["kind"] == "HTTPRoute":
            services = {service["metadata"]["name"]: service for service in of_kind(objects, "Service")}
            for backend in one["spec"]["rules"][0]["backendRefs"]:
                ports = [port["port"] for port in services[backend["name"]]["spec"]["ports"]]
                assert backend["port"] in ports


@pytest.mark.parametrize("name", ["single", "gateway"])
@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment", "spread"])
def test_each_selector_finds_the_pods_of_one_deployment(build: Build, name: str, kind: str) -> None:
    objects = build(name)
    labels = {pod["metadata"]["name"]: pod["spec"]["template"]["metadata"]["labels"] for pod in deployments(objects)}
    for owner, selector in selectors(objects, kind):
        assert [deployment for deployment, own in labels.items() if selects(selector, own)] == [owner]


@pytest.mark.parametrize("name", APPLIED)
def test_every_port_is_the_one_that_the_image_listens_on(build: Build, generated: Project, name: str) -> None:
    listens = re.findall(r'"--port", "(\d+)"', generated.read("deploy/Dockerfile"))
    assert len(listens) == 1
    for one in containers(build(name)):
        (port,) = one["ports"]
        assert port["containerPort"] == int(listens[0])
        for probe in probes(one):
            assert probe["httpGet"]["port"] in (port["name"], port["containerPort"])
            assert probe["httpGet"]["path"] in HEALTH
    for one in build(name):
        if one["kind"] == "Service":
            assert [port["targetPort"] for port in one["spec"]["ports"]] == ["http"]
        if one["kind"] == "NetworkPolicy":
            (rule,) = one["spec"]["ingress"]
            assert rule["ports"] == [{"protocol": "TCP", "port": "http"}]
            assert one["spec"]["policyTypes"] == ["Ingress", "Egress"] and one["spec"]["egress"] == []


@pytest.mark.parametrize("name", APPLIED)
def test_a_pod_may_do_nothing(build: Build, name: str) -> None:
    for pod in pods(build(name)):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
        (container,) = spec["containers"]
        context = spec.get("securityContext", {}) | container["securityContext"]
        assert context["runAsNonRoot"] and context["readOnlyRootFilesystem"]
        assert context["allowPrivilegeEscalation"] is False and context["capabilities"] == {"drop": ["ALL"]}
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"]["memory"]
        assert {volume["name"]: "sizeLimit" in volume["emptyDir"] for volume in spec["volumes"]} == {
            "log": True,
            "tmp": True,
        }


@pytest.mark.parametrize("name", APPLIED)
def test_a_pod_is_the_images_user_and_writes_where_the_image_does(build: Build, generated: Project, name: str) -> None:
    dockerfile = generated.read("deploy/Dockerfile")
    (user,) = re.findall(r"^USER (\d+):\d+$", dockerfile, re.MULTILINE)
    (log,) = re.findall(r"^VOLUME (\S+)$", dockerfile, re.MULTILINE)
    for pod in pods(build(name)):
        (container,) = pod["spec"]["containers"]
        context = pod["spec"].get("securityContext", {}) | container["securityContext"]
        assert str(context["runAsUser"]) == str(context["runAsGroup"]) == user
        assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} == {"log": log, "tmp": "/tmp"}


@pytest.mark.parametrize("name", ["single", "gateway"])
def test_a_pod_that_ends_has_time_for_its_last_requests(build: Build, generated: Project, name: str) -> None:
    longest = load_config(generated.path, guesses=True).serving.limits.seconds
    for pod in pods(build(name)):
        (container,) = pod["spec"]["containers"]
        waiting = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["spec"]["terminationGracePeriodSeconds"] >= waiting + longest + 5
    for one in deployments(build(name)):
        assert one["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert "replicas" not in one["spec"], "which the autoscaler decides"


@pytest.mark.parametrize("name", ["single", "gateway"])
def test_a_drained_node_leaves_somebody_who_answers(build: Build, name: str) -> None:
    objects = build(name)
    for scaler, budget in zip(
        of_kind(objects, "HorizontalPodAutoscaler"), of_kind(objects, "PodDisruptionBudget"), strict=True
    ):
        assert scaler["metadata"]["name"] == budget["metadata"]["name"]
        assert scaler["spec"]["minReplicas"] > budget["spec"]["maxUnavailable"] >= 1


def test_the_routes_shares_are_the_whole_and_go_to_both(build: Build) -> None:
    (route,) = of_kind(build("gateway"), "HTTPRoute")
    (rule,) = route["spec"]["rules"]
    shares = {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}
    assert shares == {"model-champion": 90, "model-canary": 10} and sum(shares.values()) == 100
    assert tuple(match["path"]["value"] for match in rule["matches"]) == OPEN_PATHS


def test_kserve_shares_requests_only_in_its_knative_mode_and_needs_the_protocols_name(build: Build) -> None:
    (service,) = of_kind(build("kserve"), "InferenceService")
    assert service["metadata"]["annotations"] == {"serving.kserve.io/deploymentMode": "Knative"}
    assert service["spec"]["predictor"]["canaryTrafficPercent"] == 10
    (container,) = service["spec"]["predictor"]["containers"]
    assert container["name"] == "kserve-container" and container["ports"][0]["name"] == "http1"
    assert container["env"][0] == {"name": "PROTOCOL", "value": "v2"}


@pytest.mark.parametrize("folder", ["single", "gateway", "kserve"])
def test_a_token_comes_from_a_secret_where_there_is_one(build: Build, folder: str) -> None:
    for pod in pods(build(folder)):
        named = {variable["name"]: variable.get("valueFrom") for variable in pod["spec"]["containers"][0]["env"]}
        assert named["MLOPS_TOKEN"] == {"secretKeyRef": {"name": "model-token", "key": "token", "optional": True}}


@pytest.mark.parametrize(
    ("answers", "image"),
    [
        ({}, "customer-churn"),
        ({"container_registry": "ghcr.io", "github_owner": "Acme"}, "ghcr.io/acme/customer-churn"),
    ],
)
def test_what_is_applied_names_the_image_that_publishing_pushes(
    bake: Bake, answers: dict[str, str], image: str
) -> None:
    project = bake(**answers)
    assert ("serving.image in params.yaml is null" in write_manifests(project).stdout) == (not answers)
    for name in APPLIED:
        assert {one["image"] for one in containers(kustomize(project, name))} == {f"{image}:v1.0.0"}


def test_champion_and_canary_take_another_image_each_as_kustomize_edit_writes_it(bake: Bake) -> None:
    project = bake()
    write_manifests(project)
    for role, tag in (("champion", "v1.1.0"), ("canary", "v1.2.0")):
        file = project.path / f"{FOLDER}/gateway/{role}/kustomization.yaml"
        content = yaml.safe_load(file.read_text())
        content["images"] = [{"name": "model", "newName": "registry.example.com/churn", "newTag": tag}]
        file.write_text(yaml.safe_dump(content))
    images = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]["image"]
        for one in deployments(kustomize(project, "gateway"))
    }
    assert images == {
        "model-champion": "registry.example.com/churn:v1.1.0",
        "model-canary": "registry.example.com/churn:v1.2.0",
    }


def test_the_base_alone_names_no_image_that_could_be_pulled_by_mistake(build: Build) -> None:
    assert {one["image"] for one in containers(build("base"))} == {"model"}


def test_a_project_has_no_manifests_until_they_are_asked_for(bake: Bake) -> None:
    assert not [name for name in bake().files() if "kubernetes" in name]


def test_they_go_where_they_are_asked_for_and_say_so(generated: Project, bake: Bake) -> None:
    project = bake()
    project.write("params.yaml", generated.read("params.yaml"))
    write_manifests(project, "--out", "cluster")
    elsewhere = manifests_of(project, "cluster")
    assert {name: text.replace("cluster/", f"{FOLDER}/") for name, text in elsewhere.items()} == manifests_of(generated)
    assert "kubectl apply --kustomize cluster/single\n" in elsewhere["single/kustomization.yaml"]
    assert not project.has_file(FOLDER)


def test_what_was_edited_is_replaced_only_by_force_and_then_as_a_whole(bake: Bake) -> None:
    project = bake()
    write_manifests(project)
    written = manifests_of(project)
    assert "as it would be written" in write_manifests(project).stdout
    edited, gone, own = (
        f"{FOLDER}/{name}" for name in ("base/service.yaml", "single/kustomization.yaml", "base/own.yaml")
    )
    for name in (edited, own):
        project.write(name, "kind: Mine\n")
    (project.path / gone).unlink()
    before = manifests_of(project)
    refused = write_manifests(project, check=False)
    assert refused.returncode == 1 and f"{edited} differs from what would be written" in refused.stderr
    assert manifests_of(project) == before, "nothing is written beside a refusal"
    assert "Wrote 2 files" in write_manifests(project, "--force").stdout
    assert manifests_of(project) == written | {"base/own.yaml": "kind: Mine\n"}


@pytest.mark.parametrize("taken", ["single", "single/kustomization.yaml"])
def test_what_is_in_the_way_is_named_and_nothing_is_replaced(bake: Bake, taken: str) -> None:
    project = bake()
    write_manifests(project)
    for name in manifests_of(project):
        project.write(f"{FOLDER}/{name}", "kind: Mine\n")
    place = project.path / FOLDER / taken
    if place.is_dir():
        (place / "kustomization.yaml").unlink()
        place.rmdir()
        place.touch()
    else:
        place.unlink()
        place.mkdir()
    before = manifests_of(project)
    refused = write_manifests(project, "--force", check=False)
    assert refused.returncode == 1 and f"{FOLDER}/{taken}" in refused.stderr and "Traceback" not in refused.stderr
    assert manifests_of(project) == before


def test_the_wheel_writes_them_without_being_unpacked(generated: Project, bake: Bake) -> None:
    project = bake(container_registry="ghcr.io", github_owner="Acme")
    (wheel,) = (project.path / "vendor").glob("*.whl")
    python = (sys.executable, "-P")
    where = project.run(*python, "-c", "import mlops_actions as m; print(m.__file__)", PYTHONPATH=str(wheel)).stdout
    assert where.startswith(f"{wheel}/")
    project.run(*python, "-m", "mlops_actions", "deploy", "manifests", PYTHONPATH=str(wheel))
    assert manifests_of(project) == manifests_of(generated)
