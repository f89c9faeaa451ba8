"""The Kubernetes manifests: a command line that parses, and restarts where they make sense."""

from pathlib import Path

import pytest
import yaml

from vos_jax.train import parse

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture(params=["jobset_tpu.yaml", "jobset_gpu.yaml"])
def jobset(request):
    return yaml.safe_load((SCRIPTS / request.param).read_text())


def workers_of(jobset: dict) -> tuple[dict, dict, dict]:
    """The job, its pod and its container."""
    (replicated,) = jobset["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    return job, pod, container


def test_manifests_start_the_training_command(jobset):
    container = workers_of(jobset)[2]
    assert container["command"][:4] == ["python", "-u", "-m", "vos_jax.train"]
    arguments, overrides = parse(container["command"][4:])
    assert arguments.distributed
    assert (SCRIPTS.parent / arguments.config).is_file()
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    folders = [arguments.workdir, *(each.partition("=")[2] for each in overrides)]
    assert all(folder.startswith("/shared/") for folder in folders)
    assert mounts == {"/shared", "/dev/shm"}


def test_manifests_restart_all_hosts_but_not_after_errors(jobset):
    assert (jobset["apiVersion"], jobset["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    policy = jobset["spec"]["failurePolicy"]
    assert policy["maxRestarts"] >= 10
    (rule,) = policy["rules"]
    assert rule == {"action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]}
    job, pod, container = workers_of(jobset)
    (rule,) = job["podFailurePolicy"]["rules"]
    final = {"containerName": container["name"], "operator": "In", "values": [1, 2]}
    assert rule == {"action": "FailJob", "onExitCodes": final}
    assert job["backoffLimit"] == 0 and pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] >= 60
    assert job["completions"] == job["parallelism"] and job["completionMode"] == "Indexed"
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert volumes == {mount["name"] for mount in container["volumeMounts"]}


def test_the_gpu_manifest_tells_jax_of_its_hosts():
    jobset = yaml.safe_load((SCRIPTS / "jobset_gpu.yaml").read_text())
    job, _, container = workers_of(jobset)
    given = {each["name"]: each for each in container["env"]}
    assert given["JAX_NUM_PROCESSES"]["value"] == str(job["completions"])
    name, workers = jobset["metadata"]["name"], jobset["spec"]["replicatedJobs"][0]["name"]
    host = given["JAX_COORDINATOR_ADDRESS"]["value"].partition(":")[0]
    assert host == f"{name}-{workers}-0-0.{name}"
    path = given["JAX_PROCESS_ID"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert path == "metadata.annotations['batch.kubernetes.io/job-completion-index']"
