"""`trainer sweep report`, and what a sweep says at its end."""


def test_a_sweep_ends_with_its_report_and_the_command_tells_it_again(command, tmp_path):
    words = ["data=xor", "trainer.max_epochs=1", "optimizer.lr=0.1,0.01", "seed=1,2", "hydra.sweep.dir=s"]
    ended = command("-m", *words)
    assert ended.code == 0, ended.err
    files = {name: (tmp_path / "s" / name).read_text() for name in ("report.md", "report.csv", "best.yaml")}
    assert "s a run" in ended.out
    told = command("sweep", "report", "s", "baseline=optimizer.lr=0.01")
    assert told.code == 0, told.err
    markdown = command("sweep", "report", "s", "baseline=optimizer.lr=0.01", "--markdown").out
    assert "| optimizer.lr=0.01 | 2 |" in markdown
    assert markdown.count("| baseline |") == 1
    assert "written: s/report.md, s/report.csv, s/best.yaml" in told.out
    assert files["best.yaml"].startswith("# The best of 2 configs by val/loss_best: ")
    assert command("sweep", "report", "s", "--csv").out == files["report.csv"]
    lowest = command("sweep", "report", "s", "--csv", "direction=max").out
    order = [[line.split(",")[0] for line in text.splitlines()[1:]] for text in (lowest, files["report.csv"])]
    assert order[0] == order[1][::-1]


def test_mistakes_get_a_message(command):
    assert command("sweep", "report").err.startswith("error: sweep report: name the directory of a sweep")
    assert command("sweep", "report", "nowhere").err == "error: no runs below 'nowhere'\n"
    assert "there is no setting 'metrik'; did you mean 'metric'?" in command("sweep", "report", "s", "metrik=x").err
