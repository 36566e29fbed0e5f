"""The gallery of parts, a page for each of them, their pictures and what can be downloaded of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nicegui import app, ui
from starlette.requests import Request
from starlette.responses import Response

from pipeline.dashboard.frame import Page, PageRefused, page_frame
from pipeline.dashboard.inspections import texts as texts  # they are added to the page's by being there
from pipeline.dashboard.inspections.addresses import download_address
from pipeline.dashboard.inspections.filters import filter_form
from pipeline.dashboard.inspections.gallery import LOOKS_EVERY_S, Gallery
from pipeline.dashboard.inspections.part import PartView, around
from pipeline.dashboard.inspections.pictures import Pictures
from pipeline.dashboard.inspections.query import GalleryQuery, lines_of
from pipeline.dashboard.inspections.rates import RatesStrip
from pipeline.dashboard.services import Services
from pipeline.dashboard.states import failed
from pipeline.dashboard.texts import t
from pipeline.history.choices import Choices, choices
from pipeline.history.database import HistoryUnavailable
from pipeline.history.gallery import lines_in, part

_CHOICES_S = 30.0  # new labels and recipes stand in the filter after so long
_RETRY_S = 2.0
_STYLE = '<link rel="stylesheet" href="/assets/inspections.css">'
