"""Go through all pages of a list, while it may grow or shrink, and whatever it says of its length."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Generic

from .errors import NoAnswerError
from .models import Item, Page

_MOST_REPEATS = 3


class Listing(Generic[Item]):
    """Yield each item of a list once; `is_whole` says in the end whether these are as many as the list says it has.

    `read` returns a page by its number from 1, `id_of` what an item is told apart by. A list that grows meanwhile
    shows items again on later pages, and new ones on pages already read; one that shrinks hides the first of a later
    page. Either is seen by the number of results, and the list is read again from its beginning. Raise NoAnswerError
    after `most` pages.
    """

    def __init__(
        self, name: str, read: Callable[[int], Page[Item]], id_of: Callable[[Item], object], most: int
    ) -> None:
        self.is_whole = False
        self._name = name
        self._read = read
        self._id_of = id_of
        self._left = most
        self._most = most

    def __iter__(self) -> Iterator[Item]:
        seen = set[object]()
        without_id, grew = 0, False
        for again in count():
            results, repeats, known = -1, 0, len(seen)
            for number in count(1):
                page = self._page(number)
                results = page.total_results if number == 1 else results
                before = len(seen)
                for item in page:
                    item_id = self._id_of(item)
                    is_new = item_id not in seen if item_id is not None else not again
                    if is_new and item_id is not None:
                        seen.add(item_id)
                    elif is_new:
                        without_id += 1
                    if is_new:
                        yield item
                repeats = repeats + 1 if len(seen) == before else 0
                shown = len(seen) + without_id >= page.total_results
                is_last = 0 < page.total_pages <= number
                if not page.items or repeats == _MOST_REPEATS or (shown and (is_last or repeats or grew)):
                    break
            self.is_whole = shown and (page.total_pages > 0 or not page.items)
            if page.total_results == results or (again and len(seen) == known):
                return
            grew = page.total_results > results

    def _page(self, number: int) -> Page[Item]:
        if not self._left:
            raise NoAnswerError(f"{self._name}: no end of the list after {self._most} pages", status=200)
        self._left -= 1
        return self._read(number)
