"""Checks before a training starts: the data fit the model, and a resumed run has the settings of the new one."""

from distill.tables import Tables, read_tables
from model.errors import ModelError
from model.networks.parameters import ModelParameters
from model.tasks import TaskData
from model.tasks.data.shortening import shorten, shorten_documents
from model.tasks.pairs import longest_document
from model.training.run_folder import RunConfiguration, RunFolder


def check_fit(configuration: RunConfiguration, task: TaskData) -> None:
    """Refuse, with `ModelError`, a task whose data, vocabulary or lengths do not fit the configuration."""
    record = configuration.model
    if task.sha256() != configuration.data_sha256:
        raise ModelError(f"the configuration is for other data than {task.origin}; create it from these data")
    if (record.vocabulary, record.classes) != (task.vocabulary, task.classes):
        raise ModelError(
            f"the model has {record.vocabulary} tokens and {record.classes} labels, "
            f"the task has {task.vocabulary} and {task.classes}"
        )
    if record.separator and record.separator != task.separator:
        raise ModelError(
            f"the model encodes documents on both sides of token {record.separator} apart, but "
            f"{task.name} {_separated(task)}; set separator to {task.separator or 0}"
        )
    if configuration.training.overlong == "refuse":
        _check_lengths(record, task)


def _check_lengths(record: ModelParameters, task: TaskData) -> None:
    longest, what = (longest_document(task), "document") if record.separator else (task.longest, "sequence")
    if longest > record.longest_sequence:
        raise ModelError(
            f"the longest {what} has {longest} tokens, more than {record.segments} segments of "
            f"{record.segment_length}; set segment_length to {-(-longest // record.segments)} "
            f"or segments to {-(-longest // record.segment_length)}, or overlong to cut"
        )


def as_read(configuration: RunConfiguration, task: TaskData) -> TaskData:
    """The sequences of `task` as the model of a run reads them: cut if its setting `overlong` says so."""
    if configuration.training.overlong == "refuse":
        return task
    model = configuration.model
    return (shorten_documents if model.separator else shorten)(task, model.longest_sequence)


def _separated(task: TaskData) -> str:
    return "has one document a sequence" if task.separator is None else f"parts them by token {task.separator}"


def check_same_run(folder: RunFolder, configuration: RunConfiguration, tables: Tables) -> RunConfiguration:
    """Return the configuration of the run in `folder`; raise `ModelError` if settings or tables differ from it."""
    stored = folder.read_configuration()
    differences = stored.differences(configuration)
    if not tables.dataset.identical(read_tables(folder.tables).dataset):
        differences.append("tables file")
    if differences:
        raise ModelError(
            f"{folder.path} was trained with another {', '.join(differences)}; resume with the same settings"
        )
    return stored
