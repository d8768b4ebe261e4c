"""Images of the regions and words that the network of a run uses, for files and sentences."""

from PIL import Image

SHORT = ("trainer.max_epochs=1", "+trainer.limit_train_batches=2", "logger=none", "hydra.run.dir=run")


def test_regions_of_image_files_are_drawn_with_their_predictions(command, tmp_path):
    assert command("data=digits", "model=cnn", *SHORT, "model.test_time_augmentation=mirror").code == 0
    for name in ("a.png", "b.png"):
        Image.new("L", (8, 8), 255).save(tmp_path / name)
    outcome = command("attribute", "run", "a.png", "b.png", "--layer=blocks.0")
    assert (outcome.code, outcome.out) == (0, "attribution.png\n"), outcome.err
    with Image.open("attribution.png") as picture:
        assert picture.width > 600  # two pairs of images in a row
    for arguments, problem in {
        ("--layer=block",): "attribute: --layer: the network has no layer 'block'; did you mean 'blocks'",
        ("--to=a.pdf",): "attribute: --to: 'a.pdf' ends neither in .png nor in .jpg",
        ("--to=no/a.png",): "attribute: cannot write 'no/a.png': No such file or directory",
        ("a.png",) * 64: "attribute: more than 64 examples; expected fewer files",
    }.items():
        outcome = command("attribute", "run", "a.png", *arguments)
        assert outcome.code == 1
        assert outcome.err.startswith(f"error: {problem}")


def test_words_of_sentences_are_printed_and_drawn(command):
    texts = ("data=imdb", "data.synthetic=true", "model=bag", "model.net.buckets=10")
    assert command(*texts, *SHORT, "callbacks=[checkpoint]").code == 0
    outcome = command("attribute", "run", "A lovely film", "--to=words.png")
    assert outcome.code == 0, outcome.err
    assert outcome.out.endswith("words.png\n")
    assert "decrease of probability" in outcome.out
    with Image.open("words.png") as picture:
        assert picture.width > 900
    outcome = command("attribute", "run", "A lovely film", "--layer=head")
    assert outcome.err == "error: attribute: --layer: has no effect on texts; leave it out\n"


def test_tables_and_generative_networks_have_no_method(command):
    assert command("data=xor", "model=mlp", *SHORT).code == 0
    outcome = command("attribute", "run", "a.csv")
    assert outcome.code == 1
    assert outcome.err == (
        "error: attribute: no method for data 'xor'; expected images or texts\n"
        "  for columns of tables: trainer test run +callbacks=attribution\n"
    )
