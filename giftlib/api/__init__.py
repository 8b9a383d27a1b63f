"""The vendor's HTTP API: wait for the rate limit, send a request, read the response, hide every secret in it.

Read `client` first (one method per endpoint), then `access` (the key, and what is known of it), `orders`, `cards` and
`models` (what it returns), `listing` (pages), `errors` (what it raises), `responses` and `parsing` (how a response is
read), `session`, `key`, `rate_limit` and `retry` (how a request is sent), `source` (which API this is, and what time
it is there), `transport` (how one deadline bounds a whole request) and `decompression`. `validation` checks arguments,
and `display` shows an object in a notebook.
"""

from . import errors
from .cards import Card, CardSecrets
from .client import Client
from .display import as_html
from .errors import *  # noqa: F403  # the whole tree
from .listing import Listing
from .models import ApiKey, CatalogProduct, Page, Product, ProductType, Transaction
from .orders import FINAL, Order, OrderRequest, OrderStatus
from .parsing import WIDE, as_amount, as_count, as_dict, as_dicts, as_id, as_list, as_name, as_text, as_time, decimals
from .rate_limit import RateLimit
from .responses import Response
from .retry import is_retryable, retry_delay, retry_read
from .session import LARGEST_PAGE
from .source import DEFAULT_BASE_URL, Source
from .validation import check_callable, check_count, check_id, check_seconds, check_type, did_you_mean, shown
