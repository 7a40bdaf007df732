"""What people see: which room is at work, answers, refusals, wrong use. Nothing else of OFS prints for people.

`screen.py` is the page: width, colours, what is cut and what never is. `answers.py`, and `runs.py`, `datasets.py` and
others beside it, say what stands on it. `progress.py` tells of work in hand, in lines or, by `live.py`, in one that moves;
`outlet.py` writes them without waiting. `ends.py` turns the end of a command into an answer and an exit status;
`streams.py` sees to it that there is somewhere to write it; `logs.py` is the log of who asks for one.
"""

from ofs_spark.console.answers import (
    print_answer,
    print_checks,
    print_failure,
    print_gc,
    print_json,
    print_manifest,
    print_refusal,
    print_usage_error,
    print_validation,
)
from ofs_spark.console.datasets import print_datasets
from ofs_spark.console.ends import answer_command, answer_end, answer_usage, print_text
from ofs_spark.console.explanation import print_explanation
from ofs_spark.console.logs import LEVELS, LoggedProgress, log_step, set_log_level
from ofs_spark.console.own_data import print_import
from ofs_spark.console.parity import print_forensic, print_parity
from ofs_spark.console.places import print_where, show_where
from ofs_spark.console.progress import Progress
from ofs_spark.console.runs import print_cancel, print_ledger_list, print_ledger_run, print_status
from ofs_spark.console.screen import find_width
from ofs_spark.console.streams import prepare_streams
from ofs_spark.console.tour import print_demo

__all__ = [
    "LEVELS",
    "LoggedProgress",
    "Progress",
    "answer_command",
    "answer_end",
    "answer_usage",
    "find_width",
    "log_step",
    "prepare_streams",
    "print_answer",
    "print_cancel",
    "print_checks",
    "print_datasets",
    "print_demo",
    "print_explanation",
    "print_failure",
    "print_forensic",
    "print_gc",
    "print_import",
    "print_json",
    "print_ledger_list",
    "print_ledger_run",
    "print_manifest",
    "print_parity",
    "print_refusal",
    "print_status",
    "print_text",
    "print_usage_error",
    "print_validation",
    "print_where",
    "set_log_level",
    "show_where",
]
