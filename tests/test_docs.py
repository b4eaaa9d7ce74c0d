"""Every command and snippet of the README and the docs runs as it stands."""

import contextlib
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from learned_optimization.baselines import hparam_sets
from learned_optimization.learned_optimizers import checkpoints
from learned_optimization.learned_optimizers.base import LEARNED_OPTIMIZERS
from learned_optimization.learned_optimizers.celo import Celo
from learned_optimization.tasks import registry
from tests.baselines.release.test_fetch_published import write_published
from tests.components import require

ROOT = Path(__file__).parent.parent
INSTALL_AND_QUICKSTART, TEST_COMMAND, *_ = re.findall(
    r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL
)


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of every shell and Python block of a page."""
    text = (ROOT / page).read_text()
    return re.findall(r"```(sh|python)\n(.*?)```", text, flags=re.DOTALL)


def run(language: str, text: str, folder: Path) -> str:
    """Run one block in a folder, with the tested package's commands available."""
    bin_dir = str(Path(sys.executable).parent)
    command = {"sh": ["bash", "-euc", text], "python": [sys.executable, "-c", text]}
    process = subprocess.Popen(
        command[language],
        cwd=folder,
        env={**os.environ, "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate()
    finally:
        # `ray start` leaves a head running, which other tests would find.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, f"{text}\n{output}\n{errors}"
    return output


@pytest.mark.slow
def test_pages_of_the_documentation(tmp_path):
    # In the order of reading: later pages use the results of earlier ones.
    output = ""
    for page in ("docs/index.md", "docs/results.md", "docs/data.md"):
        snippets = blocks(page)
        assert snippets, page
        for language, text in snippets:
            if "lopt data where fashion_mnist" in text:
                text = text.replace("where fashion_mnist", "list")
            output += run(language, text, tmp_path)
    assert "(14, 5, 101)" in output
    assert (tmp_path / "comparison.png").stat().st_size > 10_000


@pytest.mark.slow
def test_pages_on_comparing(tmp_path):
    sets = "AdamLR_1000_R5 SGDLR_1000_R5"
    run("sh", f"lopt sweep ImageMLP_FashionMnist8_Relu32 {sets}", tmp_path)
    pages = ("report", "statistics", "race", "normalizers", "exports")
    for page in pages:
        snippets = blocks(f"docs/{page}.md")
        assert snippets, page
        for language, text in snippets:
            run(language, text, tmp_path)
    assert (tmp_path / "report" / "index.html").stat().st_size > 1_000_000
    for name in ("curves.svg", "rates.pdf", "tuning.png", "profile.png"):
        assert (tmp_path / name).stat().st_size > 5_000


def test_landing_page_installs_as_the_readme_does():
    assert (
        titled_blocks("docs/index.md")["install and compare"] == INSTALL_AND_QUICKSTART
    )


def test_every_page_is_in_the_navigation_once():
    text = (ROOT / "mkdocs.yml").read_text()
    listed = re.findall(r"^ +- (?:.*: )?(\S+\.md)$", text, flags=re.MULTILINE)
    pages = {p.relative_to(ROOT / "docs") for p in (ROOT / "docs").rglob("*.md")}
    assert sorted(listed) == sorted(str(page) for page in pages)


def test_site_says_the_version_at_its_foot():
    hook = runpy.run_path(str(ROOT / "scripts" / "site_version.py"))["on_config"]
    config = hook(SimpleNamespace(site_name="Site", copyright="Apache-2.0"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert config.copyright == f"Site {project['version']} · Apache-2.0"


@pytest.mark.slow
def test_page_on_installing(tmp_path):
    page = "docs/install.md"
    rows = re.findall(r"^\| (`.*?`) \|", (ROOT / page).read_text(), flags=re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert extras == project["optional-dependencies"].keys()
    output = "".join(run(*block, tmp_path) for block in blocks(page))
    assert project["version"] in output
    assert "Optimizer Baselines" in output


@pytest.mark.slow
def test_tutorials_gallery_and_api(tmp_path):
    # In this order: what one has trained the others find.
    names = ("first_comparison", "own_optimizer", "two_hyperparameters")
    names += ("learned_optimizer", "cluster")
    pages = [*(f"docs/tutorials/{name}.md" for name in names), "docs/gallery.md"]
    api = sorted((ROOT / "docs" / "api").glob("*.md"))
    output, of_readme = "", blocks("README.md")
    for page in [*pages, *(f"docs/api/{path.name}" for path in api)]:
        assert blocks(page), page
        for name, text in titled_blocks(page).items():
            (tmp_path / name).write_text(text)
        for block in blocks(page):
            if block not in of_readme:
                output += run(*block, tmp_path)
    trained = re.findall(r"([\d,]+) trials run, ([\d,]+) had results", output)
    assert trained == [
        ("140", "0"),  # a first comparison
        ("21", "70"),  # an own optimizer, and Adam
        ("140", "70"),  # two hyper-parameters, and Adam
        ("24", "0"),  # a search
        ("5", "70"),  # a learned optimizer, and Adam
        ("70", "0"),  # at equal tuning
        ("6", "0"),  # shards
        ("6", "0"),
        ("490", "140"),  # the gallery
        ("0", "140"),
    ]
    assert "(14, 5, 101)" in output
    assert "(32, 3)" in output
    drawn = (ROOT / "docs" / "images" / "gallery").iterdir()
    for name in [path.name for path in drawn]:
        assert (tmp_path / name).stat().st_size > 5_000


@pytest.mark.slow
def test_tutorial_on_published_curves(tmp_path, monkeypatch):
    # Where there is no network, a folder of archives of that form stands in.
    page = "docs/tutorials/published_curves.md"
    task = "ImageMLP_FashionMnist8_Relu32"
    write_published(tmp_path / "others", task)
    monkeypatch.delenv("LOPT_NO_RELEASES")
    for name, text in titled_blocks(page).items():
        (tmp_path / name).write_text(text)
    output = ""
    for language, text in blocks(page):
        text = re.sub(r"(release \w+) published", r"\1 file://$PWD/others", text)
        output += run(language, text, tmp_path)
    assert "1 archives fetched, 0 were there" in output
    assert "(15, 5, 11)" in output
    assert "6 trials run, 0 had results" in output
    assert "lion: 1 archives, 6 trials" in output
    for name in ("with_published.svg", "speedup.svg"):
        assert (tmp_path / name).stat().st_size > 5_000


def test_gallery_is_small_and_of_the_grid_of_its_tutorial():
    page, tutorial = "docs/gallery.md", "docs/tutorials/two_hyperparameters.md"
    grid = titled_blocks(page)["adam_grid.yaml"]
    assert titled_blocks(tutorial)["adam_grid.yaml"] == grid
    images = (ROOT / "docs" / "images" / "gallery").iterdir()
    assert sum(path.stat().st_size for path in images) < 1_000_000


@pytest.mark.slow
def test_page_on_challenging(tmp_path):
    readme = titled_blocks("README.md")
    for name, text in titled_blocks("docs/challenge.md").items():
        assert readme.get(name, text) == text
        (tmp_path / name).write_text(text)
    of_readme = [text for _, text in blocks("README.md")]
    for language, text in blocks("docs/challenge.md"):
        if text not in of_readme:
            run(language, text, tmp_path)
    assert (tmp_path / "challenge" / "index.html").stat().st_size > 1_000_000


@pytest.mark.slow
def test_page_on_releases(tmp_path, monkeypatch):
    # One that was fetched is verified by its name.
    monkeypatch.setenv("LOPT_NO_RELEASES", "0")
    output = "".join(run(*block, tmp_path) for block in blocks("docs/releases.md"))
    assert "my_release: 2 archives, 140 trials" in output
    assert "3 of 3 trials trained again are the same" in output
    assert "2 archives fetched, 0 were there" in output
    assert "(14, 5) (14, 5, 101)" in output


@pytest.mark.slow
def test_page_on_speed(tmp_path):
    output = "".join(run(*block, tmp_path) for block in blocks("docs/speed.md"))
    assert re.search(r"AdamLR_1000_R5 +│ +70 │ +0 │", output)
    assert "h100=60000x8: " in output
    assert "70 trials run, 0 had results" in output


@pytest.mark.slow
def test_page_on_learned_optimizers(tmp_path):
    # Nothing has trained it: what it does to a task is not what the page is about.
    small = Celo(lstm_hidden_size=8)
    theta = small.init(jax.random.PRNGKey(0))
    checkpoints.save(str(tmp_path / "celo" / "params"), theta, "a run", 100)
    config = "run_train.lopt = @Celo()\nCelo.lstm_hidden_size = 8\n"
    (tmp_path / "celo" / "config.gin").write_text(config)
    for name, text in titled_blocks("docs/learned_optimizers.md").items():
        (tmp_path / name).write_text(text)
    output = "".join(
        run(*block, tmp_path) for block in blocks("docs/learned_optimizers.md")
    )
    assert "celo/config.gin says" in output
    assert "145 trials run, 0 had results" in output
    assert "1 configuration, so untuned" in output
    assert "12 trials run, 0 had results" in output
    assert "\n5\n" in output
    assert "2 meta-parameters in 2 arrays" in output
    assert "5 trials run, 0 had results" in output
    assert (tmp_path / "learned.png").stat().st_size > 10_000


@pytest.mark.slow
def test_page_on_pytorch(tmp_path):
    require("torch")
    page = "docs/torch_optimizers.md"
    for name, text in titled_blocks(page).items():
        (tmp_path / name).write_text(text)
    output = "".join(run(*block, tmp_path) for block in blocks(page))
    assert "12 trials run, 0 had results, 0 diverged" in output
    assert (tmp_path / "torch.png").stat().st_size > 5_000


@pytest.mark.slow
def test_page_on_own_tasks(tmp_path):
    page = "docs/own_tasks.md"
    for name, text in titled_blocks(page).items():
        (tmp_path / name).write_text(text)
    snippets = [text for language, text in blocks(page) if language == "sh"]
    output = "".join(run("sh", text, tmp_path) for text in snippets)
    assert "SineRegression" in output
    assert "140 trials run, 0 had results" in output
    assert (tmp_path / "sine.png").stat().st_size > 5_000


@pytest.mark.slow
@pytest.mark.parametrize("library", ["nnx", "equinox", "haiku"])
def test_models_of_other_libraries_train(library, tmp_path):
    if library != "nnx":
        require(library)
    (tmp_path / "task.py").write_text(
        titled_blocks("docs/own_tasks.md")[f"{library}_task.py"]
    )
    text = (tmp_path / "task.py").read_text()
    [name] = re.findall(r"def (\w+_FashionMnist8_Relu32)", text)
    (tmp_path / "set.yaml").write_text(
        "imports: [task.py]\nname: A_60_R1\noptimizer: Adam\nnum_steps: 60\n"
        "seeds: 1\nfixed: {learning_rate: 0.003}\n"
    )
    run("sh", f"lopt sweep {name} --set set.yaml", tmp_path)
    with np.load(tmp_path / "archives" / name / "A_60_R1.npz") as archive:
        losses = archive["eval/test/loss"][0, 0]
    # As those of the package's own MLP of this size.
    assert 2.0 < losses[0] < 2.7
    assert losses[-1] < 1.2


@pytest.mark.slow
def test_page_on_meta_training(tmp_path):
    output = "".join(run(*block, tmp_path) for block in blocks("docs/meta_training.md"))
    assert "NormalizedStepLOpt" in output
    assert output.rstrip().endswith("True")
    assert (tmp_path / "my_run" / "meta.curves").exists()


@pytest.mark.slow
def test_page_on_pretrained_optimizers(tmp_path, monkeypatch):
    # Adam beside it is of the package's release.
    monkeypatch.setenv("LOPT_NO_RELEASES", "0")
    output = "".join(run(*block, tmp_path) for block in blocks("docs/pretrained.md"))
    assert "5 trials run, 0 had results" in output
    assert "1 configuration, so untuned" in output
    assert "202 meta-parameters in 11 arrays" in output
    assert float(output.split()[-1]) < 0.1


@pytest.mark.slow
def test_page_on_notebooks(tmp_path):
    [(language, text)] = [b for b in blocks("docs/notebooks.md") if b[0] == "python"]
    output = run(language, text, tmp_path)
    assert "\nAdam_lr0.01 0.5" in output
    assert "AdamLR_1000_R5 comes first" in output
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert (tmp_path / "report" / "index.html").stat().st_size > 1_000_000


@pytest.mark.slow
def test_page_on_many_machines(tmp_path):
    output = "".join(run(*block, tmp_path) for block in blocks("docs/clusters.md"))
    assert output.count("trials run, 0 had results") == 3
    assert "then: lopt archive ImageMLP_FashionMnist8_Relu32 SGDLR_1000_R5" in output


def titled_blocks(page: str) -> dict[str, str]:
    """Return the files a page shows, by their names."""
    text = (ROOT / page).read_text()
    return dict(re.findall(r"```\w+ title=\"(.*?)\"\n(.*?)```", text, flags=re.DOTALL))


def test_scripts_for_many_machines(tmp_path):
    files = titled_blocks("docs/clusters.md")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    # There is no Slurm, Docker or Kubernetes: these, and ours, say what they got.
    for name in ("lopt", "srun", "sbatch", "docker", "kubectl"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": "7"}
    said = ""
    for name in files:
        if name.endswith((".sh", ".sbatch")):
            said += subprocess.run(
                ["bash", "-euc", f". ./{name}"],
                cwd=tmp_path,
                env=env,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
    sets = re.search(r"^lopt sweep (\S+) (.*)$", said, flags=re.MULTILINE)
    assert sets is not None
    assert registry.get(sets[1])
    assert len([hparam_sets.get_hparam_set(name) for name in sets[2].split()]) == 16
    assert f"srun lopt sweep {sets[1]} {sets[2]} --shard 7/20 --no-archive" in said
    assert f"lopt archive {sets[1]} {sets[2]}" in said
    assert "sbatch --dependency=afterok:sbatch --parsable sweep.sbatch fig" in said
    assert "kubectl apply -f rayjob.yaml" in said


def test_manifest_for_kubernetes():
    files = titled_blocks("docs/clusters.md")
    job = yaml.safe_load(files["rayjob.yaml"])
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    pods = [cluster["headGroupSpec"], workers]
    containers = [p["template"]["spec"]["containers"][0] for p in pods]
    assert containers[0]["env"] == containers[1]["env"]
    for pod, container in zip(pods, containers, strict=True):
        mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
        (volume,) = pod["template"]["spec"]["volumes"]
        for variable in container["env"]:
            assert variable["value"].startswith(mounts[volume["name"]] + "/")
    # Ray refuses nodes of another version than the image has.
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert f"ray=={cluster['rayVersion']}" in pins


@pytest.mark.slow
def test_page_on_machines(tmp_path):
    output = "".join(run(*block, tmp_path) for block in blocks("docs/machines.md"))
    assert "70 trials run, 0 had results" in output


def test_images_have_what_there_is():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = extras["optional-dependencies"].keys()
    texts = [(ROOT / name).read_text() for name in ("Dockerfile", "docs/machines.md")]
    [default] = re.findall(r'ARG EXTRAS="(.*)"', texts[0])
    [of_gpus] = re.findall(r"--build-arg EXTRAS=(\S+)", texts[1])
    [installed] = re.findall(r'"/opt/optimizer-baselines\[(.*?)\]"', texts[0])
    assert installed == "$EXTRAS"
    assert {*default.split(","), *of_gpus.split(",")} <= known


@pytest.mark.slow
def test_readme_snippets(tmp_path):
    later = [b for b in blocks("README.md") if b[1] not in _README_COMMANDS]
    assert [language for language, _ in later] == ["sh", "sh", "python"]
    for name, text in titled_blocks("README.md").items():
        (tmp_path / name).write_text(text)
    [challenge] = re.findall(
        r"```\n( +ranking.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL
    )
    output, *_ = [run(language, text, tmp_path) for language, text in later]
    # Losses are those of the machine that printed them, to some digits.
    answer = challenge.splitlines()[-1]
    assert answer in output.splitlines()
    assert (tmp_path / "challenge" / "curves.pdf").stat().st_size > 5_000
    assert (tmp_path / "adam_sgd.png").stat().st_size > 10_000


_README_COMMANDS = (INSTALL_AND_QUICKSTART, TEST_COMMAND)


@pytest.mark.slow
def test_readme_first_command_on_a_fresh_copy(tmp_path):
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for name in files:
        if (ROOT / name).exists():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    output = run("sh", INSTALL_AND_QUICKSTART, tmp_path)
    assert "560 trials run, 0 had results" in output
    assert output.count("archived ") == 8
    for name in ("AdamLR_1000_R5", "SGDLR_1000_R5", "LambLR_1000_R5"):
        assert re.search(rf"{name} .*_lr.* ± ", output)
    assert (tmp_path / "quickstart.png").stat().st_size > 10_000


def test_readme_test_command_is_what_ci_runs():
    command = TEST_COMMAND.strip().rpartition("&& ")[2].removeprefix(".venv/bin/")
    assert command == "python -m pytest -n 2"
    assert f"\n{command}\n" in (ROOT / ".ci" / "run").read_text()


def test_hosted_ci_runs_it_on_every_python():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    (job,) = workflow["jobs"].values()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    classifiers = "\n".join(project["classifiers"])
    pythons = re.findall(r"Python :: (3\.\d+)", classifiers)
    assert job["strategy"]["matrix"]["python"] == pythons
    assert job["steps"][-1] == {"run": ".ci/run"}
    for step in job["steps"]:
        # A tag may be moved, a commit not.
        assert re.search(r"@[0-9a-f]{40}$", step.get("uses", "@" + "0" * 40))


def test_version_to_cite_is_that_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    [
        "make_board.py",
        "make_gallery.py",
        "make_lopt_table.py",
        "make_optimizer_table.py",
        "make_task_table.py",
    ],
)
def test_generated_pages_are_up_to_date(script):
    command = [sys.executable, ROOT / "scripts" / script, "--check"]
    subprocess.run(command, check=True)


@pytest.mark.slow
def test_contributing_snippets():
    task, optimizer, lopt, hparam_set = (
        text for language, text in blocks("CONTRIBUTING.md") if language == "python"
    )
    names = dict(vars(hparam_sets))
    exec(task, names)
    made = registry.get("ImageMLP_FashionMnist16_Tanh64").make()
    assert made.name == "ImageMLP_FashionMnist16_Tanh64"
    image = jnp.zeros((2, 16, 16, 1))
    loss = made.loss(
        made.init(jax.random.PRNGKey(0)),
        jax.random.PRNGKey(1),
        {"image": image, "label": jnp.zeros(2, jnp.int32)},
    )
    # No light, no bias: every class is as likely as any other.
    assert float(loss) == pytest.approx(np.log(10))
    exec(optimizer, names)
    assert names["NAdam"](learning_rate=1e-3).name == "NAdam_lr0.001_b10.9_b20.999"
    with LEARNED_OPTIMIZERS.temporarily():
        exec(lopt, names)
    scaled_sign = names["ScaledSign"]()
    opt = scaled_sign.opt_fn(scaled_sign.init(jax.random.PRNGKey(0)))
    state = opt.update(opt.init(jnp.ones(2)), jnp.array([-3.0, 2.0]))
    np.testing.assert_allclose(opt.get_params(state), [1.01, 0.99], rtol=1e-6)
    sets = eval(f"[{hparam_set}]", names)
    assert [s.name for s in sets] == ["NAdamLR_1000_R5", "NAdamLR_10000_R5"]
