"""An operator's tools: doctor, bench, the configuration by API, log level, certificates, backup."""

import json
import os
import re
import signal
import socket
import stat
import subprocess

import pytest

from harness.deadline import PATIENCE
from harness.peer import V5, V311, Peer, fresh_id
from harness.server import Server, binary, free_port
from harness.steer import Steer, Told

BASE = 'limits.inflight = 20\n[[authentication]]\ntype = "database"\n'


def run(*words, code=0, stdin="", **options):
    """Runs the program to its end; what it says."""
    done = subprocess.run(
        [binary(), *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
        **options,
    )
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture
def running(own_server):
    def make(config=BASE, **options):
        server = own_server(config=config, **options).start()
        server.until_events("serving")
        return server, Steer(server)

    return make


# The doctor


def found(report, area, level=None):
    return [
        one
        for one in report["findings"]
        if one["area"] == area and (level is None or one["level"] == level)
    ]


def test_the_doctor_finds_nothing_wrong_with_a_server_that_runs(running):
    server, _ = running("", listeners=["protocol = \"mqtt\""])
    before = sorted(path.name for path in server.data_dir.rglob("*"))
    words = ["doctor", "--config", server.directory / "nightjar.toml", "--data-dir", server.data_dir]
    done = subprocess.run(
        [binary(), *words, "--json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "NIGHTJAR__DASHBOARD__ENABLED": "false"},
        check=False,
    )
    report = json.loads(done.stdout)
    assert done.returncode == report["exit_code"], report
    # What the machine lacks is its own business, and other tests keep its disk busy.
    problems = [one for one in report["findings"] if one["level"] == "problem"]
    assert all(one["area"] == "disk" for one in problems), problems
    assert "the running server's" in found(report, "ports", "good")[0]["what"]
    assert str(server.process.pid) in found(report, "server")[0]["what"]
    speed = [one for one in found(report, "disk") if "syncs/s" in one["what"]]
    assert speed and speed[0]["figures"]["syncs"] > 0
    assert found(report, "clock", "good") and found(report, "memory")
    assert sorted(path.name for path in server.data_dir.rglob("*")) == before


def test_the_doctor_says_what_is_wrong_and_what_to_do(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        passwords = tmp_path / "passwords"
        passwords.write_text("")
        passwords.chmod(0o644)
        config = tmp_path / "nightjar.toml"
        config.write_text(
            f'dashboard.enabled = false\naccess.no_match = "allow"\n'
            f'[[listener]]\naddress = "127.0.0.1:{port}"\n[[authentication]]\ntype = "passwords"\nfile = "passwords"\n'
        )
        words = ["doctor", "--config", config, "--data-dir", tmp_path / "data", "--no-disk"]
        report = json.loads(run(*words, "--json", code=2))
        text = run(*words, code=2)
    (port_finding,) = found(report, "ports", "problem")
    assert f"(process {os.getpid()})" in port_finding["what"]
    assert port_finding["advice"]
    (secret,) = found(report, "files", "warning")
    assert "0644" in secret["what"] and "chmod 600" in secret["advice"]
    assert "PROBLEM  ports" in text and "-> chmod 600" in text
    assert not (tmp_path / "data").exists()
    config.write_text("wrkers = 3\n")
    report = json.loads(run(*words, "--json", code=2))
    assert "did you mean workers?" in found(report, "configuration", "problem")[0]["what"]


def test_check_refuses_what_a_start_would(tmp_path):
    config = tmp_path / "nightjar.toml"
    asked = '[[authentication]]\ntype = "passwords"\nfile = "p"\n[[rule]]\nallow = "all"\ntopics = ["#"]\n'
    begin = 'data_dir = "data"\n'
    passwords = tmp_path / "p"
    for listener, wrong in [("127.0.0.1:0", "cannot be read"), ("203.0.113.7:1", "no such address")]:
        config.write_text(f'{begin}[[listener]]\naddress = "{listener}"\n{asked}')
        done = subprocess.run(
            [binary(), "check", "-c", config], capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 1 and wrong in done.stderr, done
        passwords.write_text("")
    config.write_text(
        f'{begin}dashboard.address = "0.0.0.0:0"\n[[listener]]\naddress = "127.0.0.1:0"\n{asked}'
    )
    done = subprocess.run(
        [binary(), "check", "-c", config], capture_output=True, text=True,
        timeout=PATIENCE, check=False, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0 and "without TLS" in done.stderr, done
    assert str(tmp_path / "data") in done.stdout, done


def test_the_doctor_looks_into_certificates(tmp_path, pki_files):
    chain, key = pki_files
    config = tmp_path / "nightjar.toml"
    port = free_port("127.0.0.1")

    def report(code):
        config.write_text(
            f'dashboard.enabled = false\n[[certificate]]\nname = "c"\nchain = "{chain}"\nkey = "{key}"\n'
            f'[[listener]]\naddress = "127.0.0.1:{port}"\nprotocol = "mqtts"\ncertificates = ["c"]\n'
        )
        words = ["doctor", "--config", config, "--data-dir", tmp_path / "data", "--no-disk", "--json"]
        done = subprocess.run(
            [binary(), *words], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        report = json.loads(done.stdout)
        assert done.returncode <= 1 if code <= 1 else done.returncode == code, report
        return report

    good = found(report(1), "certificates", "good")
    assert good[0]["figures"]["days_left"] > 0
    key.chmod(0o644)
    problems = found(report(2), "certificates", "problem")
    assert any("key" in one["what"] for one in problems)


@pytest.fixture
def pki_files(tmp_path):
    """A chain and its key, made by openssl."""
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "90", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", key, "-out", chain],
        check=True, capture_output=True, timeout=PATIENCE,
    )  # fmt: skip
    key.chmod(0o600)
    return chain, key


# Load


def bench(server, kind, *words, code=0):
    address = ["-h", server.host, "-p", str(server.port), "--threads", "1", "--json"]
    return json.loads(run("bench", kind, *address, *words, code=code))


@pytest.mark.parametrize("version", ["311", "5"])
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_pairs_get_all_that_was_sent(server, version, qos):
    result = bench(server, "p2p", "-c", "5", "-n", "200", "-q", qos, "-V", version)
    assert result["ok"] and result["sent"] == result["received"] == 1000
    assert result["lost"] == 0 and result["errors"] == {} and result["ready"] == 10
    assert result["latency_ms"]["count"] == 1000
    assert 0 < result["latency_ms"]["p50"] <= result["latency_ms"]["p99"]
    assert result["acknowledged"] == (1000 if qos != "0" else 0)


def test_each_kind_of_load_does_what_it_says(server):
    fanout = bench(server, "fanout", "-c", "20", "-n", "50", "-r", "500", "-q", "1")
    assert (fanout["sent"], fanout["received"], fanout["publishers"]) == (50, 1000, 1)
    fanin = bench(server, "fanin", "-c", "20", "-n", "50", "-q", "1", "--inflight", "5")
    assert (fanin["sent"], fanin["received"]) == (1000, 1000)
    conn = bench(server, "conn", "-c", "50")
    assert conn["ready"] == conn["connect_ms"]["count"] == 50 and conn["sent"] == 0
    pub = bench(server, "pub", "-c", "2", "-d", "1", "-r", "100", "-q", "1")
    assert 80 <= pub["acknowledged"] == pub["sent"] <= 110


def test_subscribers_count_what_arrives_until_a_signal(server, topic):
    words = ["-c", "3", "-t", f"{topic}/%i", "-d", "60", "-V", "5", "--json"]
    process = subprocess.Popen(
        [binary(), "bench", "sub", "-h", server.host, "-p", str(server.port), *words],
        stdout=subprocess.PIPE,
        text=True,
    )
    with Peer(server, V5) as publisher:
        # Somebody is there as soon as the server says so.
        while publisher.publish(f"{topic}/2", b"x", 1) == 0x10:
            assert process.poll() is None
        for _ in range(50):
            publisher.publish(f"{topic}/2", b"x", 1)
    process.send_signal(signal.SIGINT)
    result = json.loads(process.communicate(timeout=PATIENCE)[0])
    assert result["interrupted"] and result["received"] >= 50 and result["errors"] == {}


def test_a_load_hides_no_error(server, tmp_path):
    nobody = free_port("127.0.0.1")
    result = json.loads(
        run("bench", "conn", "-h", "127.0.0.1", "-p", str(nobody), "-c", "3", "--json", code=1)
    )
    assert not result["ok"] and sum(result["errors"].values()) == 3, result
    text = run("bench", "conn", "-h", "127.0.0.1", "-p", str(nobody), "-c", "3", code=1)
    assert "ERROR" in text and "3 x" in text
    text = run("bench", "p2p", "-h", server.host, "-p", str(server.port), "-n", "5", "-c", "1", "-s", "8")
    assert "0 lost" in text and "not measured" in text


# Configuration


def test_the_configuration_is_shown_with_its_sources(running):
    server, steer = running()
    rows = {row["key"]: row for row in steer("config", "show")}
    assert rows["limits.inflight"] == {"key": "limits.inflight", "value": "20", "source": "file:1"}
    assert rows["workers"]["source"] == "default"
    assert rows["data_dir"]["source"] == "flag:--data-dir"
    assert rows["dashboard.enabled"]["source"] == "env:NIGHTJAR__DASHBOARD__ENABLED"
    shown = steer.text("config", "show", "--toml")
    # The last line is for `apply`, which takes it out.
    assert shown.startswith(server.config) and shown.count("\n") == server.config.count("\n") + 1
    assert "default" not in steer.text("config", "show", "--set")


def test_a_configuration_is_checked_applied_and_rolled_back(running):
    server, steer = running()
    path = server.directory / "nightjar.toml"
    path.chmod(0o640)
    new = server.directory / "new.toml"
    new.write_text(BASE.replace("20", '"none"'))
    with pytest.raises(Told):
        steer.text("config", "check", new)
    done = subprocess.run(
        [binary(), "config", "check", new, "--data-dir", server.data_dir, "--json"],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    (problem,) = json.loads(done.stdout)["problems"]
    assert done.returncode == 1
    assert (problem["line"], problem["key"]) == (1, "limits.inflight")
    with pytest.raises(Told, match=r"new\.toml:1:19.*limits\.inflight"):
        steer("config", "apply", new)

    new.write_text(BASE.replace("20", "7") + "log.level = 1\n")
    with pytest.raises(Told):
        steer("config", "apply", new)
    assert path.read_text() == BASE and steer("config", "versions") == []

    new.write_text("workers = 9\n" + BASE.replace("20", "7"))
    changes = {row["key"]: row for row in steer("config", "diff", new)}
    assert changes["workers"]["needs_restart"] and not changes["limits.inflight"]["needs_restart"]
    assert path.read_text() == BASE
    steer("config", "apply", new)
    assert path.read_text() == new.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert server.until_events("configuration taken over")
    rows = {row["key"]: row["value"] for row in steer("config", "show")}
    assert rows["limits.inflight"] == "7"
    (version,) = steer("config", "versions")
    assert version["version"] == 1
    assert stat.S_IMODE((server.data_dir / "configurations").stat().st_mode) == 0o700
    steer("config", "rollback", "1")
    assert path.read_text() == BASE
    lines = [row["operation"] for row in steer("audit")]
    assert lines.count("configuration.apply") >= 2 and "configuration.rollback" in lines


def test_a_port_that_is_taken_is_told_and_nothing_changes(own_server):
    server = own_server(listeners=["name = \"a\""]).start()
    server.until_events("serving")
    steer = Steer(server)
    path = server.directory / "nightjar.toml"
    before = path.read_text()
    new = server.directory / "new.toml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        new.write_text(f'{before}\n[[listener]]\naddress = "127.0.0.1:{port}"\n')
        with pytest.raises(Told, match="in use"):
            steer("config", "apply", new)
    assert path.read_text() == before and steer("config", "versions") == []
    steer("config", "apply", new)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE):
        pass
    assert len(steer("config", "versions")) == 1


def test_s71_secrets_stay_in_the_file_and_are_not_shown(running):
    secret = "wonderful secret"
    config = BASE + (
        '[[authentication]]\ntype = "ldap"\nurl = "ldaps://127.0.0.1:1"\nbase = "ou=p"\n'
        'search = "(cn=${username})"\nsearch_dn = "cn=s"\n'
        f'search_password = "{secret}"\n'
    )
    server, steer = running(config)
    text = steer.text("config", "show", "--toml")
    assert secret not in text and '"***"' in text
    assert secret not in json.dumps(steer("config", "show"))
    steer("config", "apply", "-", stdin=text.replace("= 20", "= 8"))
    assert (server.directory / "nightjar.toml").read_text() == config.replace("= 20", "= 8")
    text = steer.text("config", "show", "--toml")
    with pytest.raises(Told, match="write the secret"):
        steer("config", "apply", "-", stdin=text.replace("127.0.0.1:1", "127.0.0.2:1"))
    assert secret not in (server.data_dir / "audit.jsonl").read_text() + server.log()


def test_without_a_file_nothing_is_applied(own_server):
    server = own_server().start()
    server.until_events("serving")
    steer = Steer(server)
    with pytest.raises(Told, match="without a configuration file"):
        steer("config", "apply", "-", stdin="workers = 2\n")
    assert "[limits]" in steer.text("config", "show", "--toml")


# The log's level, certificates


def test_the_log_s_level_changes_at_once(running):
    server, steer = running("")
    assert steer.text("log-level") == "info\n"

    def visit(level):
        assert steer("log-level", level) == {"level": level}
        client = fresh_id()
        with Peer(server, V5, client):
            pass
        return client

    silent, usual = visit("error"), visit("info")

    def clients(message):
        return [event["client"] for event in server.events(message)]

    while usual not in clients("client disconnected"):
        server.until_events("client disconnected", len(clients("client disconnected")) + 1)
    assert silent not in clients("client connected") and usual in clients("client connected")
    assert [event["now"] for event in server.events("the log's level was changed")] == ["info"]
    with pytest.raises(Told):
        steer("log-level", "loud")
    assert steer.text("log-level") == "info\n"


def test_certificates_are_listed(own_server, pki_files, tmp_path):
    chain, key = pki_files
    server = own_server(
        config=f'[[certificate]]\nname = "c"\nchain = "{chain}"\nkey = "{key}"\n',
        listeners=['name = "plain"', 'name = "tls"\nprotocol = "mqtts"\ncertificates = ["c"]'],
    ).start()
    server.until_events("serving")
    (row,) = Steer(server)("certificates")
    assert (row["listener"], row["source"], row["sans"]) == ("tls", "file", ["localhost"])
    assert 88 <= row["days_left"] <= 90 and len(row["fingerprint"]) == 64
    assert "DAYS LEFT" in Steer(server).text("certificates")


# Backup


def test_a_backup_of_a_running_server_begins_another(running, tmp_path):
    server, steer = running()
    steer("role", "set", "all", "allow all t/#")
    steer.user("ann", "wonder", "--role", "all")
    steer("ban", "add", "--client", "villain")
    login = {"username": "ann", "password": "wonder"}
    client = fresh_id()
    with Peer(server, V311, client, clean=False, **login) as sleeper:
        sleeper.subscribe("t/#", qos=1)
    with Peer(server, V5, **login) as publisher:
        for number in range(200):
            publisher.publish("t/queue", b"%d" % number, 1)
        publisher.publish("t/state", b"kept", 1, retain=True)
    backup = tmp_path / "backup"
    answer = steer("backup", backup)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in backup.read_text().splitlines()]
    assert answer["lines"] == len(lines) and lines[-1] == {"end": {"lines": len(lines) - 1}}
    assert "wonder" not in backup.read_text()
    assert "data.export" in [row["operation"] for row in steer("audit")]
    server.stop()

    run("restore", backup, code=1, env={"HOME": str(tmp_path / "home")})
    assert not (tmp_path / "home").exists(), "nobody said where to"
    cut = tmp_path / "cut"
    cut.write_text("".join(backup.read_text().splitlines(True)[:-1]))
    fresh = tmp_path / "fresh"
    run("restore", cut, "--data-dir", fresh, code=1)
    assert not fresh.exists()
    said = run("restore", backup, "--data-dir", fresh)
    assert re.search(r"store: 1 session", said), said
    assert "names no data folder" in said, said
    assert (fresh / "restored.toml").read_text() == BASE
    run("restore", backup, "--data-dir", fresh, code=1)

    again = Server(tmp_path, config=BASE, data_dir=fresh).start()
    try:
        with Peer(again, V311, client, clean=False, **login) as back:
            assert back.session_present
            got = back.payloads(201)
            assert [int(it) for it in got if it != b"kept"] == list(range(200)) and b"kept" in got
        steer = Steer(again)
        assert [row["who"] for row in steer("ban", "list")] == ["villain"]
    finally:
        again.stop()


# What shells and manuals need


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_commands(shell, tmp_path):
    text = run("completions", shell)
    for word in ("serve", "doctor", "bench", "config", "--data-dir"):
        assert word.lstrip("-") in text, word
    if shell == "bash":
        script = tmp_path / "nightjar.bash"
        script.write_text(text)
        done = subprocess.run(
            ["bash", "-c", f'source {script}; COMP_WORDS=(nightjar doc); COMP_CWORD=1; '
             '_nightjar nightjar doc nightjar; echo "${COMPREPLY[@]}"'],
            capture_output=True, text=True, timeout=PATIENCE, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == "doctor", done


def test_the_manual_is_made_of_the_help(tmp_path):
    assert run("man").splitlines()[2].startswith(".TH")
    run("man", "--out", tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"nightjar.1", "nightjar-doctor.1", "nightjar-bench-p2p.1"} <= names
