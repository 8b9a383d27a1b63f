"""Serves one request after the other: a page, or the API's response after its latency and under its fault."""

from collections.abc import Callable

from .connections import Exchange
from .responses import Request, Response
from .service import RequestRecord, Service

Page = Callable[[Request], Response | None]


class Server:
    """Serves requests: `pages` come first, each gives a response or None."""

    def __init__(self, service: Service, pages: list[Page]) -> None:
        self._service = service
        self._pages = pages

    async def serve(self, exchange: Exchange) -> None:
        """Handle one request, from its arrival to the last byte of its response."""
        for page in self._pages:
            if shown := page(exchange.request("")):
                await exchange.send_page(shown)
                return
        service = self._service
        arrived = service.clock.now_utc()
        request_id, latency = service.arrive()
        request = exchange.request(request_id)
        in_time = await service.pass_time(latency / 2)
        response, fault = service.respond(request)
        if response:
            in_time = await service.pass_time(latency / 2 + (fault.delay_s if fault else 0)) and in_time
        cut = fault.cut if fault else None
        sent = response if in_time and cut not in ("before", "after") else None
        status, order_id = sent.status if sent else None, response.order_id if response else None
        with service.lock:
            service.records.append(RequestRecord(arrived, request.method, request.path, status, order_id))
        reusable = False
        if sent:
            drip_s = fault.drip_s if fault else 0.0
            reusable = await exchange.send(
                sent, request, half=cut == "within", drip_s=drip_s, pass_time=service.pass_time
            )
        if reusable and cut is None:
            exchange.end()
        else:
            exchange.drop(reset=fault is not None and (fault.reset or cut == "before"))
