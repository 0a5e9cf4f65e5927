"""Rows from a URL or a query become a snapshot: fetched from real servers, or refused in one sentence."""

import contextlib
import gzip
import sqlite3
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import duckdb
import pytest
from mlops_actions.core.config import Config, Data, Model
from mlops_actions.core.errors import UserError
from mlops_actions.data.sources import downloads
from mlops_actions.stages import ingest
from pyarrow import parquet
from servers import LOGIN, find_postgres, serve_http, serve_postgres, serve_s3

ROWS = b"id,price\n1,2.5\n2,3.5\n"
Ingest = Callable[[str, str], str]


@pytest.fixture
def fetch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ingest:
    """`fetch("https://…", "dataset.csv")`: the line that ingest prints of a project whose rows come from there."""

    def run(source: str, name: str) -> str:
        data = Data(source=source, path=f"data/raw/{name}", target="price", task="regression")
        ingest.run(Config(root=tmp_path, data=data, model=Model(estimator="linear")))
        return capsys.readouterr().out.strip()

    return run


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "PAUSE", 0)


def refusal_of(action: Callable[[], object]) -> str:
    """Return the one sentence in which an action is refused."""
    with pytest.raises(UserError) as refusal:
        action()
    sentence = str(refusal.value)
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


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
def database() -> Iterator[str]:
    bin = find_postgres()
    if bin is None:
        pytest.skip("PostgreSQL is not installed")
    with serve_postgres(bin) as url:
        yield url


@pytest.fixture
def postgres(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PGPASSWORD", "secret")
    return database


@pytest.mark.parametrize("mood", ["plain", "flaky", "moved"])
def test_a_file_at_a_url_is_fetched(fetch: Ingest, tmp_path: Path, web: ThreadingHTTPServer, mood: str) -> None:
    line = fetch(f"{web.url}/{mood}/a.csv?x=1&y=2", "dataset.csv")
    assert line == "ingest: 2 rows (0.0 MB) in data/raw/dataset.csv"
    assert (tmp_path / "data/raw/dataset.csv").read_bytes() == ROWS


def test_what_is_new_is_said_and_what_fails_leaves_the_snapshot(
    fetch: Ingest, tmp_path: Path, web: ThreadingHTTPServer
) -> None:
    url = f"{web.url}/plain/b.csv"
    web.files["b.csv"] = ROWS
    fetch(url, "dataset.csv")
    assert "nothing new, the same 2 rows" in fetch(url, "dataset.csv")
    web.files["b.csv"] = ROWS + b"3,4\n"
    assert fetch(url, "dataset.csv").startswith("ingest: 3 rows, 2 before")
    web.files["b.csv"] = b"<not a table"
    sentence = refusal_of(lambda: fetch(url, "dataset.csv"))
    assert sentence == f"{url}: has a header but no rows; add data below it."
    assert (tmp_path / "data/raw/dataset.csv").read_bytes() == ROWS + b"3,4\n"
    assert [file.name for file in (tmp_path / "data/raw").iterdir()] == ["dataset.csv"]
    assert not list((tmp_path / ".dvc/tmp").iterdir())


def test_a_login_comes_from_netrc(
    fetch: Ingest, web: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    netrc = tmp_path / "home/.netrc"
    netrc.write_text("machine 127.0.0.1 login ada password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    line = fetch(f"{web.url}/login/a.csv.gz", "dataset.csv.gz")
    assert line == "ingest: 2 rows (0.0 MB) in data/raw/dataset.csv.gz"
    with serve_http() as other:
        other.files["a.csv.gz"], web.away = web.files["a.csv.gz"], f"{other.url}/plain"
        fetch(f"{web.url}/away/a.csv.gz", "dataset.csv.gz")
        assert web.heard[-1]["Authorization"] == f"Basic {LOGIN}"
        assert "Authorization" not in other.heard[-1]


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
    fetch: Ingest, tmp_path: Path, web: ThreadingHTTPServer, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    sentence = refusal_of(lambda: fetch(web.url + path, "dataset.csv"))
    assert sentence.startswith(web.url + path) and URLS[path] in sentence
    assert not (tmp_path / "data/raw/dataset.csv").exists()


def test_a_server_that_is_not_there_gets_its_sentence(fetch: Ingest) -> None:
    sentence = refusal_of(lambda: fetch("http://127.0.0.1:9/a.csv", "dataset.csv"))
    assert "http://127.0.0.1:9/a.csv: cannot be fetched ([Errno 111] Connection refused); check data.source" in sentence


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_s3_is_read_with_the_credentials_of_the_environment(
    fetch: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    with serve_s3(tmp_path / "log") as (environment, client):
        monkeypatch.setenv("AWS_REGION", region)
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="folder/a.csv", Body=ROWS)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        line = fetch("s3://bucket/folder/a.csv", "dataset.csv")
        assert line == "ingest: 2 rows (0.0 MB) in data/raw/dataset.csv"
        sentence = refusal_of(lambda: fetch("s3://bucket/no.csv", "dataset.csv"))
    assert sentence.startswith("s3://bucket/no.csv: cannot be fetched (")
    assert sentence.endswith("your AWS credentials.")
    assert (tmp_path / "data/raw/dataset.csv").read_bytes() == ROWS


@pytest.fixture
def ask(tmp_path: Path, fetch: Ingest) -> Ingest:
    """`ask("sqlite:///shop.db", "SELECT 1")`: the line that ingest prints of a query, whose rows are in `snapshot`."""

    def run(database: str, query: str) -> str:
        (tmp_path / "ingest.sql").write_text(f"-- {database}\n{query}\n")
        return fetch("ingest.sql", "dataset.parquet")

    return run


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return tmp_path / "data/raw/dataset.parquet"


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


def test_the_rows_of_sqlite_have_types_and_always_the_same_bytes(ask: Ingest, snapshot: Path, shop: Path) -> None:
    query = "SELECT id, price, kind, mixed, NULL AS gap FROM t ORDER BY id;"
    line = ask(SQLITE, query)
    assert line == f"ingest: 70,000 rows ({snapshot.stat().st_size / 1e6:.1f} MB) in data/raw/dataset.parquet"
    types = {field.name: str(field.type) for field in parquet.read_schema(snapshot)}
    assert types == {"id": "int64", "price": "double", "kind": "string", "mixed": "string", "gap": "int64"}
    rows = parquet.read_table(snapshot)
    assert rows.slice(69_999).to_pylist() == [
        {"id": 69_999, "price": 34_999.5, "kind": "k6", "mixed": "69999", "gap": None}
    ]
    before = snapshot.read_bytes()
    assert "nothing new" in ask(f"sqlite:///{shop}", query)
    snapshot.unlink()
    ask(SQLITE, query)
    assert snapshot.read_bytes() == before


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
def test_a_query_without_rows_gets_its_sentence(ask: Ingest, snapshot: Path, shop: Path, name: str) -> None:
    database, query, sentence = QUERIES[name]
    (shop.parent / "params.yaml").write_text("data: {}\n")
    assert sentence in refusal_of(lambda: ask(database, query))
    assert not snapshot.exists()


@pytest.mark.parametrize(
    ("source", "name", "sentence"),
    [
        ("ftp://example.com/a.csv", "a.csv", "data.source 'ftp://example.com/a.csv' is no http(s):// or s3:// URL"),
        ("ingest.sql", "a.csv", "data.path must end in .parquet"),
        ("ingest.sql", "a.parquet", "ingest.sql: not found; write the query there"),
    ],
)
def test_a_source_that_is_none_gets_its_sentence(fetch: Ingest, source: str, name: str, sentence: str) -> None:
    assert sentence in refusal_of(lambda: fetch(source, name))


def test_postgresql_is_read_in_its_types(ask: Ingest, snapshot: Path, postgres: str) -> None:
    query = """
        SELECT i AS id, (i * 1.25)::numeric(12, 2) AS price, i % 2 = 0 AS even, 'k' || i % 7 AS kind,
            '{}'::jsonb AS doc,
            date '2026-01-01' + i AS day, timestamptz '2026-01-01 00:00+00' + i * interval '1 h' AS at,
            '00000000-0000-0000-0000-000000000007'::uuid AS key, nullif(i % 3, 0) AS gaps
        FROM generate_series(1, 70000) AS i ORDER BY i
    """
    assert ask(postgres, query).startswith("ingest: 70,000 rows")
    rows = parquet.read_table(snapshot)
    assert [str(field.type) for field in rows.schema] == [
        *("int32", "string", "bool", "string", "string"),
        *("date32[day]", "timestamp[us, tz=UTC]", "string", "int32"),
    ]
    first = {name: str(value) for name, value in rows.slice(0, 1).to_pylist()[0].items()}
    assert first == {
        **{"id": "1", "price": "1.25", "even": "False", "kind": "k1", "doc": "{}", "day": "2026-01-02"},
        **{"at": "2026-01-01 01:00:00+00:00", "key": "00000000-0000-0000-0000-000000000007", "gaps": "1"},
    }
    before = snapshot.read_bytes()
    snapshot.unlink()
    ask(postgres, query)
    assert snapshot.read_bytes() == before


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
def test_postgresql_refuses_in_one_sentence(ask: Ingest, snapshot: Path, postgres: str, query: str) -> None:
    assert POSTGRES[query] in refusal_of(lambda: ask(postgres, query))
    assert not snapshot.exists()


def test_postgresql_wants_its_password(ask: Ingest, postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong")
    assert "password authentication failed" in refusal_of(lambda: ask(postgres, "SELECT 1 AS a"))


def test_duckdb_is_read_without_a_driver(ask: Ingest, snapshot: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as database:
        database.execute(
            "CREATE TABLE t AS SELECT i AS id, i * 1.5::decimal(9, 1) AS price, uuid() AS key, 5::hugeint AS huge, "
            "[1] AS list FROM range(9) r(i)"
        )
    shop = "duckdb:///shop.duckdb"
    assert ask(shop, "SELECT * EXCLUDE list FROM t ORDER BY id").startswith("ingest: 9 rows")
    types = [str(field.type) for field in parquet.read_schema(snapshot)]
    assert types == ["int64", "double", "string", "double"]
    assert "column 'list' holds lists" in refusal_of(lambda: ask(shop, "SELECT list FROM t"))
    assert "read-only mode" in refusal_of(lambda: ask(shop, "DROP TABLE t"))


@pytest.mark.parametrize(("region", "words"), [("us-east-1", "302"), ("eu-central-1", "leads to another server")])
def test_no_credential_of_s3_follows_a_redirect(
    fetch: Ingest, web: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, region: str, words: str
) -> None:
    with serve_http() as other:
        web.away = f"{other.url}/plain"
        for name, value in (
            ("AWS_ENDPOINT_URL", web.url),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "session"),
            ("AWS_DEFAULT_REGION", region),
        ):
            monkeypatch.setenv(name, value)
        sentence = refusal_of(lambda: fetch("s3://away/a.csv", "dataset.csv"))
        assert words in sentence
        assert not any(headers["X-Amz-Security-Token"] for headers in other.heard)
