"""Write a trained model as one file for other programs: ONNX, TorchScript, or safetensors.

usage: convlab export NAME [--format onnx|torchscript|safetensors] [--output DIR] [--images PHOTO...]

NAME is what `convlab predict --model` takes: champion, a run, a complete model's directory, models:/..., or
a backbone with its ImageNet classes.

  --format       onnx unless given
  --output DIR   exports/<name>/ unless given; a file of the same name there is replaced
  --images       photos, folders, globs to compare on; else 16 test images of the run, or, of a model that
                 comes without its data, photos of assets/sample

What is written:
  onnx           model.onnx: pixels, uint8 n c h w, -> probabilities, float32 n k, any n. Padding,
                 normalization, backbone and head are inside; metadata_props: classes, preprocessing (JSON),
                 convlab_version, name. `convlab predict --model DIR` reads it, without torch.
  torchscript    model.pt: the same, for torch.jit.load; its extra file metadata.json holds the metadata
  safetensors    the complete model: model.json (the metadata) and all weights, a backbone's too

pixels are the image in the preprocessing's size and number of channels, resized as it says, not normalized.
The file is compared with the model on real images; the largest difference of a probability is printed, and
above 1e-5 nothing is kept and the exit status is 1.

examples
  convlab export lenet
  convlab export champion/flowers --output flowers_onnx
  convlab export linear_head --format torchscript --images photos/
"""

import argparse
from pathlib import Path

from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.prediction import named_model, photo_sources
from convlab.prediction.predictor import Photo
from convlab.runs import model_file
from convlab.runs.run import Run

CHOICES = ("onnx", "torchscript", "safetensors")


def run(args: list[str]) -> int:
    """Export one model."""
    parser = argparse.ArgumentParser(prog="convlab export", add_help=False)
    parser.add_argument("models", nargs="*", metavar="NAME")
    parser.add_argument("--format", default="onnx")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--images", nargs="+", default=[])
    options = parser.parse_args(args)
    if len(options.models) != 1:
        raise ConvlabError("which model? One, for instance: convlab export lenet")
    if options.format not in CHOICES:
        raise ConvlabError(f"--format {options.format}: choose one of {', '.join(CHOICES)}.")
    (name,) = options.models
    path, difference, num_images = _export(name, options)
    largest = f"no probability differs from {name}'s by more than {difference:.1e}"
    console.print(f"{path}: on {num_images} images, {largest}", markup=False)
    return 0


def _export(name: str, options: argparse.Namespace) -> tuple[Path, float, int]:
    """What was written, the largest difference, and on how many images it was looked for."""
    from convlab.prediction import complete_model
    from convlab.prediction.export import checked
    from convlab.prediction.export.formats import FORMATS

    directory = named_model.complete(name)
    run = named_model.run(name) if directory is None else None
    predictor = named_model.load(name) if directory is None else complete_model.load(directory)
    title = model_file.read(directory).name if directory else run.name if run else name
    images = _images(options.images, run)
    folder = options.output or Path("exports") / title
    if options.format in FORMATS:
        format = FORMATS[options.format]
        path = folder / format.file
        return path, checked.export(predictor, title, format, path, images), len(images)
    if directory is not None:
        complete_model.copy(directory, folder)
    elif run is not None:
        complete_model.write(run, folder)
    else:
        raise ConvlabError(f"{name}: a backbone's weights, in weights/, are a safetensors file already.")
    copied = complete_model.load(folder)
    return folder, checked.largest_difference(predictor, copied.probabilities, images), len(images)


def _images(words: list[str], run: Run | None) -> list[Photo]:
    from convlab.prediction.export import checked

    if words:
        return [source.read() for source in photo_sources.find(words)]
    return [*checked.images_of(run)] if run is not None else checked.sample_photos()
