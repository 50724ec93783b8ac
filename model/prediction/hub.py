"""Models under the interface of the Hugging Face hub: `from_pretrained`, `save_pretrained`, `push_to_hub`.

    classifier = RmaatClassifier.from_pretrained("runs/reviews")  # a run, an export, or NAME/REPOSITORY
    classifier.push_to_hub("me/reviews")  # the files of model.prediction.pretrained

Needs the extra `hub`. Nothing that is downloaded is run or unpickled: weights are safetensors, the rest is JSON and
NetCDF.
"""

import json
from pathlib import Path
from typing import Any, Self

from distill.tables import Tables, read_tables, write_tables
from model.errors import ModelError
from model.networks.build import build_language_model
from model.networks.language_model import LanguageModel
from model.networks.parameters import ModelParameters
from model.prediction.classifier import TextClassifier
from model.prediction.pretrained import CARD, CONFIG, find_pretrained, packaged
from model.training.checkpoint import load_model, write_model
from rmaat.base.extras import require
from rmaat.base.files import read_json, write_text
from rmaat.base.records import ParameterError

_hub: Any = require("huggingface_hub", "huggingface_hub", "the interface of the Hugging Face hub")

_FILES = ("*.json", "*.safetensors", "*.nc", "*.md")
_TABLES = "tables.nc"


class RmaatClassifier(TextClassifier, _hub.ModelHubMixin):
    """A trained classifier with the methods of the Hugging Face hub; call it with texts, or use its `model`.

    `RmaatClassifier(model, configuration, tables, state, evaluation)` wraps what `Pretrained` describes.
    """

    # Not empty, so that the mixin neither infers a configuration from the constructor nor sets one.
    _hub_mixin_config = {"model_type": "rmaat-classifier"}  # noqa: RUF012 (the mixin wants a dict)

    def _save_pretrained(self, save_directory: Path) -> None:
        self.write(save_directory)

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> Self:
        """Read a packaged model by its name, a run folder or an exported folder; else download a repository.

        `options` are those of the Hugging Face hub, such as `revision` and `token`. Raises `ModelError`.
        """
        # Not by the mixin, which downloads config.json first and raises errors of its own without a network.
        if str(name) in packaged() or Path(name).is_dir():
            return cls.read(find_pretrained(name))
        return cls.read(_downloaded(str(name), options))


class RmaatLanguageModel(_hub.ModelHubMixin):
    """A language model with the methods of the Hugging Face hub; `model` is its torch module.

    Attributes
    ----------
    model
        From `build_language_model`.
    tables
        The tables that it was built from.
    """

    _hub_mixin_config = {"model_type": "rmaat-language-model"}  # noqa: RUF012 (the mixin wants a dict)

    def __init__(self, model: LanguageModel, tables: Tables):
        self.model, self.tables = model, tables

    def _save_pretrained(self, save_directory: Path) -> None:
        parameters = self.model.parameters_record
        config = {**self._hub_mixin_config, "model": parameters.to_dict()}
        write_text(save_directory / CONFIG, json.dumps(config, indent=2) + "\n")
        write_tables(self.tables, save_directory / _TABLES)
        write_model(save_directory, self.model)
        if not (save_directory / CARD).exists():
            write_text(save_directory / CARD, _language_model_card(self.model))

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> Self:
        """Read a folder of `save_pretrained`; else download a repository. Options and errors as of the classifier."""
        folder = _downloaded(str(name), options)
        try:
            config = read_json(folder / CONFIG)
            parameters = ModelParameters.from_dict(config["model"])
        except (ValueError, KeyError, TypeError, ParameterError) as error:
            raise ModelError(f"{folder / CONFIG} is not that of a language model ({error})") from error
        tables = read_tables(folder / _TABLES)
        model = build_language_model(parameters, tables)
        load_model(folder, model)
        return cls(model, tables)


def _downloaded(model_id: str, options: dict[str, Any]) -> Path:
    """The folder `model_id`, or the files of the repository of this name, downloaded once."""
    if Path(model_id).is_dir():
        return Path(model_id)
    names = ("revision", "cache_dir", "force_download", "local_files_only", "token")
    wanted = {name: options[name] for name in names if name in options}
    try:
        return Path(_hub.snapshot_download(model_id, allow_patterns=list(_FILES), **wanted))
    # The network and the hub can raise any exception.
    except Exception as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{model_id} is no folder, and cannot be downloaded ({what:.300})") from error


def _language_model_card(model: LanguageModel) -> str:
    record = model.parameters_record
    count = sum(parameter.numel() for parameter in model.parameters())
    return (
        "---\nlibrary_name: rmaat-toolkit\ntags: [rmaat, long-context, astrocytes]\n---\n\n"
        f"# Language model: {record.architecture} of RMAAT Toolkit\n\n"
        f"{count:,} parameters, a vocabulary of {record.vocabulary:,} tokens, segments of {record.segment_length:,} "
        "tokens. The memory carries over from segment to segment.\n\n"
        "```python\nfrom model import LanguageModelStream, RmaatLanguageModel\n\n"
        'model = RmaatLanguageModel.from_pretrained("PATH").model\nstream = LanguageModelStream(model)\n```\n'
    )
