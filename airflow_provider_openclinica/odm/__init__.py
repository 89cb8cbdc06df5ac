"""CDISC ODM documents: build them, check them, write them as the server survives, cut them; read what exports say."""

from __future__ import annotations

from airflow_provider_openclinica.odm.attachments import check_attachments
from airflow_provider_openclinica.odm.builder import build
from airflow_provider_openclinica.odm.checks import check
from airflow_provider_openclinica.odm.flattener import flatten
from airflow_provider_openclinica.odm.metadata import read_metadata
from airflow_provider_openclinica.odm.model import ClinicalDataSummary, Part, Problem
from airflow_provider_openclinica.odm.normaliser import normalise
from airflow_provider_openclinica.odm.reader import read
from airflow_provider_openclinica.odm.splitter import split, survey

__all__ = [
    "ClinicalDataSummary",
    "Part",
    "Problem",
    "build",
    "check",
    "check_attachments",
    "flatten",
    "normalise",
    "read",
    "read_metadata",
    "split",
    "survey",
]
