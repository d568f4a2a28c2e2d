"""The HTML report of one or several runs."""

from codesign.report.page import write_report

__all__ = ["write_report"]
