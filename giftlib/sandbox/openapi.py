"""An OpenAPI description of the API as the settings make it: what may be asked, and each answer that may come."""

from collections.abc import Mapping
from typing import Any

from .account import SAMPLE_ORDER
from .catalog import SAMPLE_PRODUCT
from .request_parsing import LARGEST_PAGE
from .router import routes
from .settings import KEY_SCOPES, KEY_TYPES, Settings

Part = dict[str, Any]
Codes = Mapping[str, Part | None]

_ABOUT = """The gift-card endpoints of the OneClickDZ API v3 as an emulator answers them under its present settings.
Amounts are dinars, times UTC. A path that is not here gets the router's 404, a method that is not here its 405 with
`Allow`. Faults that somebody injects are not described."""
_TEXT: Part = {"type": "string"}
_NAME: Part = {"type": "string", "minLength": 1}
_ID: Part = {"type": "string", "pattern": "^[0-9a-f]{24}$"}
_TIME: Part = {"type": "string", "format": "date-time"}
_FLAG: Part = {"type": "boolean"}
_COUNT: Part = {"type": "integer", "minimum": 0}
_FROM_ONE: Part = {"type": "integer", "minimum": 1}
_PRICE: Part = {"type": "number", "minimum": 0, "description": "dinars"}
_BALANCE: Part = {"type": "number", "description": "dinars"}
_REQUEST_ID: Part = {"description": "names the request", "required": True, "schema": _NAME}
_RETRY_AFTER: Part = {"description": "seconds until there is room", "required": True, "schema": _FROM_ONE}


def describe(settings: Settings) -> Part:
    """The OpenAPI 3.1 document of a sandbox with these settings; its server is where the document comes from."""
    operations = _Operations(settings)
    paths: Part = {}
    for path, (method, name) in routes(settings).items():
        item = {"checkOrder": "{orderId}", "checkProduct": "{productId}"}.get(name, "")
        paths[path + item] = {method.lower(): {"operationId": name, **getattr(operations, name)()}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gift-card sandbox", "version": "3", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Access-Token"}}},
    }


def _object(**properties: Part) -> Part:
    """An object with these properties and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Part, **bounds: int) -> Part:
    return {"type": "array", "items": items, **bounds}


def _one_of(*values: Any) -> Part:
    return {"enum": sorted(set(values))}


def _answer(told: str, content: Part, **headers: Part) -> Part:
    headers = {"X-Request-Id": _REQUEST_ID, **headers}
    return {"description": told, "headers": headers, "content": {"application/json": {"schema": content}}}


def _parameter(name: str, where: str, schema: Part, **more: Any) -> Part:
    return {"name": name, "in": where, "required": where == "path", "schema": schema, **more}


class _Operations:
    """What each endpoint takes and answers, by its name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def ping(self) -> Part:
        up = _one_of("up", "down")
        operators = _object(mobilis=up, ooredoo=up, djezzy=up, mobilisFixedPlans=up)
        data = _object(api=_one_of("ok", "error"), operators=operators)
        return {"summary": "Whether the API is up", "security": [], "responses": {"200": self._success(data)}}

    def validate(self) -> Part:
        shape = self._settings.validate_shape
        kind = _one_of(*KEY_TYPES)
        if shape == "bills":
            data = _object(account=_object(id=_ID, status=_TEXT, currency=_TEXT), key=_object(type=kind))
        else:
            more = {"key": _NAME, "allowedips": _list(_NAME)} if shape == "reference" else {}
            key = _object(isEnabled=_FLAG, type=kind, scope=_one_of(*KEY_SCOPES), **more)
            data = _object(username=_TEXT, apiKey=key)
        return self._keyed("What the key is and may do", self._success(data, timed=False))

    def catalog(self) -> Part:
        product = _object(id=_ID, title=_TEXT, enabled=_FLAG)
        product["properties"]["region"] = _TEXT  # of which some have none
        category = _object(**{self._settings.category_key: _TEXT, "products": _list(product)})
        data = _object(categories=_list(category))
        totals = {"totalCategories": _COUNT, "totalProducts": _COUNT}
        on_top = self._settings.catalog_totals_in == "top"
        success = self._success(data, totals=totals) if on_top else self._success(data, meta=totals)
        return self._keyed("All products", success)

    def checkProduct(self) -> Part:
        settings = self._settings
        own_key, key = ("productId", "id") if settings.product_id_key == "id" else ("_id", "_id")
        more = {"available": _FLAG} if settings.available_field else {}
        more |= {"cost": _PRICE} if settings.cost_field else {}
        kind = _object(**{key: _NAME, "name": _TEXT, "price": _PRICE, "quantity": _COUNT, **more})
        data = _object(**{own_key: _ID, "productTitle": _TEXT, "types": _list(kind)})
        success = self._success(data, tells_id=True)
        return self._item("A product's types, prices and stock", success, "productId", SAMPLE_PRODUCT)

    def checkOrder(self) -> Part:
        success = self._success(self._order(in_list=False), timed=False)
        return self._item("An order's status, and its cards", success, "orderId", SAMPLE_ORDER)

    def placeOrder(self) -> Part:
        settings = self._settings
        quantity: Part = {**_FROM_ONE, "maximum": settings.max_quantity}
        if settings.text_quantity == "read":
            digits: Part = {
                "type": "string",
                "pattern": "^0*[1-9][0-9]*$",
                "maxLength": len(str(settings.max_quantity)) - 1,
            }
            digits["description"] = (
                f"a whole number up to {settings.max_quantity}; all of them pass, not only so many digits"
            )
            quantity = {"anyOf": [quantity, digits]}
        by_ref = settings.order_ref == "required"
        wish = _object(productId=_NAME, typeId=_NAME, **({"ref": _NAME} if by_ref else {"quantity": quantity}))
        example: Part = {"productId": SAMPLE_PRODUCT, "typeId": "TEST_PARTIAL"}
        example |= {"ref": "order-1"} if by_ref else {"quantity": 4}
        if by_ref:
            wish["properties"]["quantity"] = {"description": "passed over: an order is of one card"}
        wish["additionalProperties"] = settings.unknown_body_keys == "ignored"
        success = self._success(_object(orderId=_ID, **({"orderRef": _NAME} if by_ref else {})), tells_id=True)
        success["links"] = {
            "order": {"operationId": "checkOrder", "parameters": {"orderId": "$response.body#/data/orderId"}}
        }
        balance = {settings.balance_code: _object(required=_PRICE, available=_BALANCE)}
        no_stock = {"OUT_OF_STOCK": None} if settings.check_stock else {}
        operation = self._keyed("Buy cards", success, forbidden={"FORBIDDEN": None, **balance, **no_stock})
        too_large = _object(message=_TEXT, error=_TEXT, statusCode={"const": 413})
        operation["responses"]["400"] = self._invalid()
        operation["responses"]["413"] = _answer("The body is larger than 1 MiB", too_large)
        body = {"required": True, "content": {"application/json": {"schema": wish, "example": example}}}
        return {**operation, "requestBody": body}

    def list(self) -> Part:
        needs_both_ends = self._settings.list_needs_both_ends
        return self._pages("The account's orders", self._order(in_list=True), needs_both_ends=needs_both_ends)

    def balance(self) -> Part:
        currency = {"currency": _TEXT} if self._settings.balance_currency else {}
        return self._keyed("The account's balance", self._success(_object(balance=_BALANCE, **currency)))

    def transactions(self) -> Part:
        row = _object(
            _id=_ID,
            type=_one_of("ORDER", "REFUND-ORDER", "DEPOSIT"),
            operation=_one_of("Increment", "Decrement"),
            amount=_PRICE,
            oldBalance=_BALANCE,
            newBalance=_BALANCE,
            objid={"type": "string", "pattern": "^([0-9a-f]{24})?$", "description": "the order, if there is one"},
            note=_TEXT,
            time=_TIME,
        )
        return self._pages("The account's movements", row, needs_both_ends=True)

    def _order(self, *, in_list: bool) -> Part:
        settings = self._settings
        start: Part = {"_id": _ID, "status": {"const": "HANDLING"}, "quantity": _FROM_ONE}
        article = {"product": _NAME, "type": _NAME}
        end = {**(article if in_list or settings.final_order_has_type else {}), "time": _TIME}
        card = _object(value=_TEXT, **({} if settings.card_serials == "missing" else {"serial": _TEXT}))
        least = 0 if settings.partial_of_one == "PARTIALLY_FILLED" else 1
        delivered: Part = {
            "status": _one_of("FULFILLED", settings.partial_status),
            "fulfilled_quantity": {"type": "integer", "minimum": least},
            "fulfilled_amount": _PRICE,
            "price_per_card": _PRICE,
            "cards": _list(card, minItems=least),
        }
        nothing: Part = {
            "status": {"const": "REFUNDED"},
            "fulfilled_quantity": {"const": 0},
            "fulfilled_amount": {"const": 0},
            "price_per_card": _PRICE,
            "cards": _list(card, maxItems=0),
        }
        handling = _object(**start, **article, time=_TIME)
        return {"oneOf": [handling, _object(**{**start, **delivered, **end}), _object(**{**start, **nothing, **end})]}

    def _success(
        self,
        data: Part,
        *,
        timed: bool = True,
        tells_id: bool = False,
        totals: Part | None = None,
        meta: Part | None = None,
    ) -> Part:
        """A 200 with the parts that `Envelope.success` gives it."""
        told = self._settings.request_id_in
        more = {"meta": _object(**(meta or {}), timestamp=_TIME)} if timed else {}
        more |= {"requestId": _NAME} if told == "always" or (tells_id and told == "documented") else {}
        return _answer("Done", _object(success={"const": True}, **(totals or {}), data=data, **more))

    def _refusal(self, told: str, codes: Codes, **headers: Part) -> Part:
        """An error in the API's envelope, with one of these codes and the details that belong to it."""
        errors = []
        for code, details in codes.items():
            parts = {"code": {"const": code.replace("_", self._settings.code_separator)}, "message": _TEXT}
            errors.append(_object(**parts, **({"details": details} if details else {})))
        beside = {"message": _TEXT} if self._settings.message_at == "top" else {}
        content = _object(success={"const": False}, error={"oneOf": errors}, **beside, requestId=_NAME)
        return _answer(told, content, **headers)

    def _invalid(self) -> Part:
        return self._refusal("The request is wrong; details name how", {"ERR_VALIDATION": _list(_TEXT, minItems=1)})

    def _keyed(self, summary: str, success: Part, *, forbidden: Codes | None = None) -> Part:
        """An operation that needs a key."""
        settings = self._settings
        attempts = _object(attemptsLeft=_COUNT) if settings.attempts_left_in == "details" else None
        no_key = {"MISSING_ACCESS_TOKEN": None, settings.bad_key_code: attempts}
        barred = {"IP_BLOCKED": None, "API_DISABLED": None, "IP_NOT_ALLOWED": None, **(forbidden or {})}
        too_many = {"RATE_LIMIT_EXCEEDED": None}
        responses = {
            "200": success,
            "401": self._refusal("No key, or a wrong one", no_key),
            "403": self._refusal("Not allowed, or not to be had", barred),
            "429": self._refusal("More requests than the ceiling", too_many, **{"Retry-After": _RETRY_AFTER}),
        }
        return {"summary": summary, "responses": responses}

    def _item(self, summary: str, success: Part, name: str, example: str) -> Part:
        """An operation on what has the id."""
        operation = self._keyed(summary, success)
        operation["responses"]["404"] = self._refusal("There is none", {"NOT_FOUND": None})
        strict = self._settings.malformed_id == "ERR_VALIDATION"
        if strict:
            operation["responses"]["400"] = self._invalid()
        given: Part = {"type": "string", "pattern": "^[0-9a-fA-F]{24}$"} if strict else _NAME
        return {**operation, "parameters": [_parameter(name, "path", given, example=example)]}

    def _pages(self, summary: str, row: Part, *, needs_both_ends: bool) -> Part:
        most = LARGEST_PAGE if self._settings.large_page == "refused" else 10**10 - 1
        size = {**_FROM_ONE, "maximum": most, "default": 20}
        parameters = [
            _parameter("page", "query", {**_FROM_ONE, "maximum": 10**9, "default": 1}),
            _parameter("pageSize", "query", size, description=f"a page has {LARGEST_PAGE} rows at most"),
        ]
        end = {**_TIME, "description": "included; without an offset it is UTC"}
        if needs_both_ends:
            both, told = _object(**{"from": end, "to": end}), "the parameters `from` and `to`, both or neither"
            parameters.append(_parameter("period", "query", both, style="form", explode=True, description=told))
        else:
            parameters += [_parameter(name, "query", end) for name in ("from", "to")]
        pagination = _object(page=_FROM_ONE, pageSize=_FROM_ONE, totalPages=_COUNT, totalResults=_COUNT)
        data = _object(items=_list(row, maxItems=LARGEST_PAGE), pagination=pagination)
        operation = self._keyed(summary, self._success(data))
        operation["responses"]["400"] = self._invalid()
        return {**operation, "parameters": parameters}
