"""Pods from the manifests in examples/, played by podman."""

import copy
import json
import re

import pytest
import yaml
from containers import WORK, Container, listener
from engines import APP, PODMAN

from testkit.programs import ROOT_DIRECTORY, VICTIMS

WITH_HELPER = ["sh", "-c", 'setsid python3 -c "$WORK" & exec sleep infinity']


def manifest(name: str) -> dict:
    return yaml.safe_load((ROOT_DIRECTORY / "examples" / f"{name}.yaml").read_text())


@pytest.fixture
def play(tmp_path):
    """Play a manifest with podman; its containers by name are returned."""
    played = []

    def play_one(resource: dict) -> dict[str, Container]:
        path = tmp_path / f"{len(played)}.json"  # which is YAML, and less open to interpretation
        path.write_text(json.dumps(resource))
        played.append(path)
        said = PODMAN.ask("kube", "play", "--network=none", path)
        found = [
            Container(PODMAN, each) for each in re.findall(r"^[0-9a-f]{64}$", said, re.MULTILINE)
        ]
        names = {each.field("{{.Name}}"): each for each in found[1:]}
        return {name.rpartition("-")[2]: container for name, container in names.items()}

    yield play_one
    for path in played:
        PODMAN.do("kube", "down", path)


def unique(resource: dict, name: str) -> dict:
    """Return a manifest whose Pod has a name of its own, as tests run side by side."""
    changed = copy.deepcopy(resource)
    changed["metadata"]["name"] = name
    return changed


def test_deployment(play):
    """The manifest works as it stands: pyinit is PID 1, forwards, and the code is the child's."""
    web = play(unique(manifest("deployment"), "plain"))["web"]
    web.line("Serving HTTP")
    first = web.inside("cat", "/proc/1/cmdline").replace("\0", " ")
    code = web.stop()
    written = web.finish()

    assert re.search("pyinit -- python3 -u -m http.server 8000 $", first)
    assert (143, "SIGTERM") == (code, written.named("signal_forwarded")[0]["signal"])


def test_deployment_lets_helpers_finish(play):
    """What the child leaves behind in a Pod may finish."""
    resource = unique(manifest("deployment"), "helped")
    container = resource["spec"]["template"]["spec"]["containers"][0]
    container |= {"args": WITH_HELPER}
    container["env"].append({"name": "WORK", "value": WORK.strip()})
    web = play(resource)["web"]
    web.line("^ready")

    assert 143 == web.stop()
    assert "finished\n" in web.finish().out


def test_share_process_namespace(play):
    """When not PID 1 it adopts and drains its own; its neighbour in the Pod gets no signal."""
    resource = unique(manifest("deployment"), "shared")
    pod = resource["spec"]["template"]["spec"]
    pod["shareProcessNamespace"] = True
    pod["volumes"] = [{"name": "victims", "hostPath": {"path": str(VICTIMS)}}]
    neighbour = {
        "name": "neighbour", "image": APP, "imagePullPolicy": "IfNotPresent", "args": listener(42),
        "volumeMounts": [{"name": "victims", "mountPath": "/victims", "readOnly": True}],
    }  # fmt: skip
    pod["containers"][0] |= {"args": WITH_HELPER}
    pod["containers"][0]["env"].append({"name": "WORK", "value": WORK.strip()})
    pod["containers"].append(neighbour)
    containers = play(resource)
    web, neighbour = containers["web"], containers["neighbour"]
    neighbour.line("ready")
    web.line("^ready")
    code = web.stop()
    written = web.finish()
    neighbour.kill("HUP")
    neighbour.line("got 1$")

    assert (143, "finished\n") == (code, written.out.partition("\n")[2])
    assert [True] == [event["subreaper"] for event in written.named("not_pid1")]
    assert "got 15" not in neighbour.so_far()


def test_job(play):
    """A job's own code is that of its container; podman plays its Pod."""
    template = manifest("job")["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "job"}, **template}
    result = play(pod)["report"].finish()

    assert (42, "nothing to report\n", "") == (result.code, result.out, result.err)
