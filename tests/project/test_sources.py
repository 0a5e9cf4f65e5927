"""Rows from a URL or a query become a snapshot: fetched from real servers, or refused in one sentence."""

import contextlib
import gzip
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from baked import Project, run
from inside import Inside
from mlops_actions.registry.numbering import recipe_change
from pyarrow import parquet
from servers import find_postgres, serve_http, serve_postgres, serve_s3
from tables import knob

ROWS = b"id,price\n1,2.5\n2,3.5\n"
Make = Callable[[str, str], Path]


@pytest.fixture
def place(tmp_path: Path, params: str) -> Make:
    """`place("https://…", "dataset.csv")`: a directory with the params of a project whose rows come from there."""

    def make(source: str, name: str) -> Path:
        text = knob("  source: null", f'  source: "{source}"')(params)
        (tmp_path / "params.yaml").write_text(knob("data/raw/dataset.csv", f"data/raw/{name}")(text))
        return tmp_path

    return make


@pytest.fixture(scope="module")
def params(project: Project) -> str:
    return project.read("params.yaml")


@pytest.fixture(scope="module")
def web() -> Iterator[ThreadingHTTPServer]:
    with serve_http() as server:
        server.files |= {
            "a.csv": ROWS,
            "a.csv.gz": gzip.compress(ROWS),
            "empty.csv": b"id,price\n",
            "ragged.csv": b"a,b\n1\n",
        }
        yield server


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    bin = find_postgres()
    if bin is None:
        pytest.skip("PostgreSQL is not installed")
    with serve_postgres(bin) as url:
        yield url


@pytest.mark.parametrize("mood", ["plain", "flaky", "moved"])
def test_a_file_at_a_url_is_fetched(inside: Inside, place: Make, web: ThreadingHTTPServer, mood: str) -> None:
    root = place(f"{web.url}/{mood}/a.csv?x=1&y=2", "dataset.csv")
    assert inside("ingest", root, environment={}) == "ingest: 2 rows (0.0 MB) in data/raw/dataset.csv"
    assert (root / "data/raw/dataset.csv").read_bytes() == ROWS


def test_what_is_new_is_said_and_what_fails_leaves_the_snapshot(
    inside: Inside, place: Make, web: ThreadingHTTPServer
) -> None:
    web.files["b.csv"] = ROWS
    root = place(f"{web.url}/plain/b.csv", "dataset.csv")
    inside("ingest", root, environment={})
    assert "nothing new, the same 2 rows" in inside("ingest", root, environment={})
    web.files["b.csv"] = ROWS + b"3,4\n"
    assert inside("ingest", root, environment={}).startswith("ingest: 3 rows, 2 before")
    web.files["b.csv"] = b"<not a table"
    assert inside("ingest", root, environment={}) == (
        f"{web.url}/plain/b.csv: has a header but no rows; add data below it."
    )
    assert (root / "data/raw/dataset.csv").read_bytes() == ROWS + b"3,4\n"
    assert [file.name for file in (root / "data/raw").iterdir()] == ["dataset.csv"]
    assert not list((root / ".dvc/tmp").iterdir())


def test_a_login_comes_from_netrc(inside: Inside, place: Make, web: ThreadingHTTPServer, tmp_path: Path) -> None:
    root = place(f"{web.url}/login/a.csv.gz", "dataset.csv.gz")
    (tmp_path / "home").mkdir()
    netrc = tmp_path / "home/.netrc"
    netrc.write_text("machine 127.0.0.1 login ada password secret\n")
    netrc.chmod(0o600)
    said = inside("ingest", root, environment={"HOME": str(tmp_path / "home")})
    assert said == "ingest: 2 rows (0.0 MB) in data/raw/dataset.csv.gz"


URLS = {
    "/plain/nowhere.csv": "cannot be fetched (404 Not Found); check data.source, the network and your access",
    "/login/a.csv": "cannot be fetched (401 Unauthorized)",
    "/down/a.csv": "cannot be fetched (503 Service Unavailable)",
    "/cut/a.csv": "cannot be fetched (IncompleteRead(",
    "/page/a.csv": "answers with a web page, not with data; use the address of the file itself",
    "/plain/empty.csv": "empty.csv: has a header but no rows",
    "/plain/ragged.csv": "ragged.csv: row 1 has 1 values where the header has 2",
}


@pytest.mark.parametrize("path", URLS)
def test_a_url_without_a_table_gets_its_sentence(
    inside: Inside, place: Make, web: ThreadingHTTPServer, path: str
) -> None:
    root = place(web.url + path, "dataset.csv")
    said = inside("ingest", root, environment={"HOME": "/nowhere"})
    assert said.startswith(web.url + path) and URLS[path] in said and said.endswith(".") and "\n" not in said
    assert not (root / "data/raw/dataset.csv").exists()


def test_a_server_that_is_not_there_gets_its_sentence(inside: Inside, place: Make) -> None:
    said = inside("ingest", place("http://127.0.0.1:9/a.csv", "dataset.csv"), environment={})
    assert "http://127.0.0.1:9/a.csv: cannot be fetched ([Errno 111] Connection refused); check data.source" in said


def test_s3_is_read_with_the_credentials_of_the_environment(inside: Inside, place: Make, tmp_path: Path) -> None:
    with serve_s3(tmp_path / "log") as (environment, client):
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="folder/a.csv", Body=ROWS)
        root = place("s3://bucket/folder/a.csv", "dataset.csv")
        assert inside("ingest", root, environment=environment) == "ingest: 2 rows (0.0 MB) in data/raw/dataset.csv"
        said = inside("ingest", place("s3://bucket/no.csv", "dataset.csv"), environment=environment)
        assert said.startswith("s3://bucket/no.csv: cannot be fetched (") and said.endswith("your AWS credentials.")
    assert (root / "data/raw/dataset.csv").read_bytes() == ROWS


def ask(inside: Inside, place: Make, database: str, query: str, **environment: str) -> tuple[str, Path]:
    """What is said of a query, and where its rows are."""
    root = place("ingest.sql", "dataset.parquet")
    (root / "ingest.sql").write_text(f"-- {database}\n{query}\n")
    return inside("ingest", root, environment=environment), root / "data/raw/dataset.parquet"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("CREATE TABLE t (id INTEGER, price REAL, kind TEXT, mixed, late, bytes BLOB)")
        rows = (
            (n, n / 2, f"k{n % 7}", n if n % 2 else f"t{n}", "x" if n > 69_000 else None, b"\xff")
            for n in range(70_000)
        )
        database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", rows)
        database.commit()
    return tmp_path / "shop.db"


SQLITE = "sqlite:///shop.db"


def test_the_rows_of_sqlite_have_types_and_always_the_same_bytes(inside: Inside, place: Make, shop: Path) -> None:
    query = "SELECT id, price, kind, mixed, NULL AS gap FROM t ORDER BY id;"
    said, file = ask(inside, place, SQLITE, query)
    assert file.exists(), said
    assert said == f"ingest: 70,000 rows ({file.stat().st_size / 1e6:.1f} MB) in data/raw/dataset.parquet"
    types = {field.name: str(field.type) for field in parquet.read_schema(file)}
    assert types == {"id": "int64", "price": "double", "kind": "string", "mixed": "string", "gap": "int64"}
    rows = parquet.read_table(file)
    assert rows.slice(69_999).to_pylist() == [
        {"id": 69_999, "price": 34_999.5, "kind": "k6", "mixed": "69999", "gap": None}
    ]
    before = file.read_bytes()
    assert "nothing new" in ask(inside, place, f"sqlite:///{shop}", query)[0]
    file.unlink()
    ask(inside, place, SQLITE, query)
    assert file.read_bytes() == before


QUERIES: dict[str, tuple[str, str, str]] = {
    "no such database": ("sqlite:///nowhere.db", "SELECT 1", "ingest.sql: there is no database /"),
    "no database at all": ("sqlite:///params.yaml", "SELECT 1", "file is not a database"),
    "no such table": (SQLITE, "SELECT * FROM nowhere", "the database says: Failed to prepare query: no such table"),
    "a change": (SQLITE, "DELETE FROM t", "attempt to write a readonly database"),
    "no rows": (SQLITE, "SELECT id FROM t WHERE id < 0", "ingest.sql: the query gives no rows; correct it"),
    "types that change late": (SQLITE, "SELECT late FROM t", "holds values of several types"),
    "bytes": (SQLITE, "SELECT bytes FROM t", "column 'bytes' holds values of type binary"),
    "a column twice": (SQLITE, "SELECT id, id FROM t", "the column 'id' appears 2 times"),
    "no query": (SQLITE, "-- SELECT 1;", "ingest.sql: has no query below its first line"),
    "no database named": ("anything", "SELECT 1", "its first line must name the database in a comment"),
    "a password": ("postgresql://ada:secret@h/x", "SELECT 1", "holds a password, which git would keep; use PGPASSWORD"),
    "another server": ("postgresql://127.0.0.1:9/x", "SELECT 1", "Connection refused"),
    "an extension that is not here": ("nosuchkind:x", "SELECT 1", "ingest.sql: "),
    "no DuckDB file": ("duckdb:///params.yaml", "SELECT 1", "ingest.sql: the database says: "),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_without_rows_gets_its_sentence(inside: Inside, place: Make, shop: Path, name: str) -> None:
    database, query, sentence = QUERIES[name]
    said, file = ask(inside, place, database, query)
    assert sentence in said and said.endswith(".") and "\n" not in said
    assert not file.exists()


def test_a_source_that_is_none_gets_its_sentence(inside: Inside, place: Make) -> None:
    sentences = {
        ("ftp://example.com/a.csv", "a.csv"): "data.source 'ftp://example.com/a.csv' is no http(s):// or s3:// URL",
        ("ingest.sql", "a.csv"): "data.path must end in .parquet",
        ("ingest.sql", "a.parquet"): "ingest.sql: not found; write the query there",
    }
    for (source, name), sentence in sentences.items():
        assert sentence in inside("ingest", place(source, name), environment={})


def test_postgresql_is_read_in_its_types(inside: Inside, place: Make, postgres: str) -> None:
    query = """
        SELECT i AS id, (i * 1.25)::numeric(12, 2) AS price, i % 2 = 0 AS even, 'k' || i % 7 AS kind,
            '{}'::jsonb AS doc,
            date '2026-01-01' + i AS day, timestamptz '2026-01-01 00:00+00' + i * interval '1 h' AS at,
            '00000000-0000-0000-0000-000000000007'::uuid AS key, nullif(i % 3, 0) AS gaps
        FROM generate_series(1, 70000) AS i ORDER BY i
    """
    said, file = ask(inside, place, postgres, query, PGPASSWORD="secret")
    assert said.startswith("ingest: 70,000 rows")
    rows = parquet.read_table(file)
    assert [str(field.type) for field in rows.schema] == [
        *("int32", "string", "bool", "string", "string"),
        *("date32[day]", "timestamp[us, tz=UTC]", "string", "int32"),
    ]
    first = {name: str(value) for name, value in rows.slice(0, 1).to_pylist()[0].items()}
    assert first == {
        **{"id": "1", "price": "1.25", "even": "False", "kind": "k1", "doc": "{}", "day": "2026-01-02"},
        **{"at": "2026-01-01 01:00:00+00:00", "key": "00000000-0000-0000-0000-000000000007", "gaps": "1"},
    }
    before = file.read_bytes()
    file.unlink()
    ask(inside, place, postgres, query, PGPASSWORD="secret")
    assert file.read_bytes() == before


POSTGRES = {
    "SELECT array[1, 2] AS a": "column 'a' holds lists or records",
    "SELECT interval '3 days' AS a": "column 'a' is of type month_day_nano_interval; write it as text",
    "SELECT inet '127.0.0.1' AS a": "column 'a' is of type inet; write it as text",
    "SELECT '\\xff'::bytea AS a": "column 'a' holds values of type binary",
    "SELECT * FROM nowhere": 'relation "nowhere" does not exist',
    "CREATE TABLE t (i int)": "in a read-only transaction",
    "SELEC 1": "syntax error",
}


@pytest.mark.parametrize("query", POSTGRES)
def test_postgresql_refuses_in_one_sentence(inside: Inside, place: Make, postgres: str, query: str) -> None:
    said, file = ask(inside, place, postgres, query, PGPASSWORD="secret")
    assert POSTGRES[query] in said and said.endswith(".") and "\n" not in said
    assert not file.exists()


def test_postgresql_wants_its_password(inside: Inside, place: Make, postgres: str) -> None:
    said, _ = ask(inside, place, postgres, "SELECT 1 AS a", PGPASSWORD="wrong")
    assert "password authentication failed" in said and "\n" not in said


def test_duckdb_is_read_without_a_driver(inside: Inside, place: Make, tmp_path: Path, project: Project) -> None:
    make = (
        "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('CREATE TABLE t AS SELECT i AS id, "
        "i * 1.5::decimal(9, 1) AS price, uuid() AS key, 5::hugeint AS huge, [1] AS list FROM range(9) r(i)')"
    )
    project.run(project.path / ".venv/bin/python", "-c", make, tmp_path / "shop.duckdb")
    said, file = ask(inside, place, "duckdb:///shop.duckdb", "SELECT * EXCLUDE list FROM t ORDER BY id")
    assert said.startswith("ingest: 9 rows")
    assert [str(field.type) for field in parquet.read_schema(file)] == ["int64", "double", "string", "double"]
    assert "column 'list' holds lists" in ask(inside, place, "duckdb:///shop.duckdb", "SELECT list FROM t")[0]
    assert "read-only mode" in ask(inside, place, "duckdb:///shop.duckdb", "DROP TABLE t")[0]


def test_a_snapshot_is_versioned_and_no_retrain_asks_the_source(
    fresh: Callable[..., Project],
    mlops: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = fresh(300)
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        header, *rows = [line.split(",") for line in project.read("data/raw/dataset.csv").splitlines()]
        shop.execute(f"CREATE TABLE t ({', '.join(header)})")
        shop.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(header))})", rows)
        shop.commit()
        (project.path / "data/raw/dataset.csv").unlink()
        project.write("ingest.sql", f"-- sqlite:///{tmp_path}/shop.db\nSELECT * FROM t ORDER BY rowid\n")
        text = knob("  source: null", "  source: ingest.sql")(project.read("params.yaml"))
        project.write("params.yaml", knob("dataset.csv", "dataset.parquet")(text))

        said = mlops(project, "setup").stdout
        assert "ingest: 300 rows" in said and "wrote schema.yaml" in said
        assert project.has_file("data/raw/dvc.lock") and not project.has_file("data/raw/dataset.parquet.dvc")
        mlops(project, "train")
        begun = project.commit("Begin")
        assert "data/raw/dataset.parquet" not in project.run("git", "ls-files").stdout

        assert "nothing new, the same 300 rows" in mlops(project, "ingest").stdout
        assert "Nothing to retrain" in mlops(project, "train").stdout
        assert project.run("git", "status", "--porcelain").stdout == ""
        shop.execute("INSERT INTO t SELECT * FROM t LIMIT 30")
        shop.commit()
    assert "ingest: 330 rows, 300 before" in mlops(project, "ingest").stdout
    assert project.run("git", "status", "--porcelain").stdout == " M data/raw/dvc.lock\n"
    assert "prepare: 330 rows" in mlops(project, "train").stdout
    project.commit("More rows")
    with monkeypatch.context() as patch:
        patch.chdir(project.path)
        assert recipe_change(begun) is None
    run("git", "init", "--quiet", "--bare", "origin.git", cwd=tmp_path)
    project.run("git", "remote", "add", "origin", tmp_path / "origin.git")
    project.run("git", "push", "--quiet", "--no-verify", "origin", "main")
    mlops(project, "push")

    (tmp_path / "shop.db").unlink()
    run("git", "clone", "--quiet", "--branch", "main", "origin.git", "clone", cwd=tmp_path)
    clone = Project(tmp_path / "clone")
    assert "Nothing to retrain" in mlops(clone, "train").stdout
    clone.write("params.yaml", knob("test_size: 0.2", "test_size: 0.3")(clone.read("params.yaml")))
    assert "prepare: 330 rows" in mlops(clone, "train").stdout
    clone.write("ingest.sql", clone.read("ingest.sql") + "LIMIT 9\n")
    said = mlops(clone, "train").stdout
    assert "edited since the snapshot: `mlops ingest`" in said and "Nothing to retrain" in said
    assert "there is no database" in mlops(clone, "ingest", check=False).stderr
    assert clone.run("git", "status", "--porcelain", "data/raw").stdout == ""
