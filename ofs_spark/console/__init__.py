"""What people see: which room is at work, answers, refusals, wrong use. Nothing else of OFS prints for people.

`screen.py` is the page: width, colours, what is cut and what never is. `answers.py` says what stands on it.
"""

from ofs_spark.console.answers import (
    print_answer,
    print_checks,
    print_demo,
    print_json,
    print_manifest,
    print_refusal,
    print_status,
    print_stop,
    print_usage_error,
)
from ofs_spark.console.progress import ROOMS, Progress, report_nothing

__all__ = [
    "ROOMS",
    "Progress",
    "print_answer",
    "print_checks",
    "print_demo",
    "print_json",
    "print_manifest",
    "print_refusal",
    "print_status",
    "print_stop",
    "print_usage_error",
    "report_nothing",
]
