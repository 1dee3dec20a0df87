"""A model that answers: decodes, predicts in batches, explains, and never takes on more than it can hold."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TypeVar

import numpy as np
from fastapi import HTTPException
from numpy.typing import NDArray

from convlab.base.errors import ConvlabError
from convlab.data.image_file import UnreadableImage
from convlab.serving.answers import ClassProbability, ExplainedPicture, Explanation, Prediction
from convlab.serving.batching import Batcher
from convlab.serving.metrics import Metrics
from convlab.serving.served import Served

MAX_IN_FLIGHT = 64  # requests with an image; with one more, a request is told to come again
NUM_DECODERS = 2  # images decoded at once: of the largest that is accepted, each can take a gigabyte

T = TypeVar("T")


class Service:
    """What the routes ask. `model` is None until it is loaded and has answered once; `failure` is why not.

    unsure_below: an answer of a lower probability (0 to 1) is said to be unsure.

    Decoding, predicting and explaining each have threads of their own, so that pictures of an explanation,
    which take a while, hold up no prediction.
    """

    def __init__(self, load: Callable[[], Served], metrics: Metrics, unsure_below: float) -> None:
        self.model: Served | None = None
        self.failure: BaseException | None = None
        self._load, self._metrics, self._unsure_below = load, metrics, unsure_below
        self._num_in_flight = 0
        self._decoders = ThreadPoolExecutor(NUM_DECODERS, "decode")
        self._network = ThreadPoolExecutor(1, "predict")
        self._explainer = ThreadPoolExecutor(1, "explain")
        self._batcher = Batcher(self._probabilities, self._network, metrics.batch_size.observe)

    @asynccontextmanager
    async def running(self, ready: Callable[[], None], failed: Callable[[], None]) -> AsyncIterator[None]:
        """Loads the model meanwhile, then calls `ready`, or `failed` if that is not possible."""
        start = asyncio.create_task(self._start(ready, failed))
        batches = asyncio.create_task(self._batcher.run())
        try:
            yield
        finally:
            for task in (start, batches):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            for pool in (self._decoders, self._network, self._explainer):
                pool.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among the requests with an image; HTTPException 503 if all are taken, or no model yet."""
        self.ready()
        if self._num_in_flight >= MAX_IN_FLIGHT:
            raise HTTPException(503, "busy: too many requests at once. Try again.", {"Retry-After": "1"})
        self._num_in_flight += 1
        self._metrics.in_flight.set(self._num_in_flight)
        try:
            yield
        finally:
            self._num_in_flight -= 1
            self._metrics.in_flight.set(self._num_in_flight)

    def ready(self) -> Served:
        """The model; HTTPException 503 while it is being loaded."""
        if self.model is None:
            raise HTTPException(503, "starting: the model is being loaded.", {"Retry-After": "5"})
        return self.model

    async def predict(self, content: bytes, top: int) -> Prediction:
        """HTTPException 422 if `content` is no image."""
        model = self.ready()
        pixels = await self._in(self._decoders, lambda: _decoded(model, content))
        probabilities = await self._batcher(pixels)
        best = np.argsort(-probabilities, kind="stable")[:top].tolist()
        return Prediction(
            model=model.name,
            classes=[
                ClassProbability(class_name=model.classes[index], probability=float(probabilities[index]))
                for index in best
            ],
            unsure=self._unsure(pixels, float(probabilities.max())),
        )

    def _unsure(self, pixels: NDArray[np.uint8], probability: float) -> str | None:
        if pixels.min() == pixels.max():
            return "the image is of one colour: there is nothing to see in it."
        if probability < self._unsure_below:
            return f"no class has a probability of {100 * self._unsure_below:g} %."
        return None

    async def explain(self, content: bytes, class_name: str | None) -> Explanation:
        """HTTPException 422 if `content` is no image or no class is called so, 501 if there is no network."""
        model = self.ready()
        if model.unexplainable:
            raise HTTPException(501, model.unexplainable)
        classes = model.classes
        if class_name is not None and class_name not in classes:
            some = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
            raise HTTPException(422, f"class={class_name}: the network knows {some}.")
        target = None if class_name is None else classes.index(class_name)
        return await self._in(self._explainer, lambda: _explained(model, content, target))

    async def _start(self, ready: Callable[[], None], failed: Callable[[], None]) -> None:
        try:
            self.model = await self._in(self._network, self._loaded)
        except Exception as error:  # of whatever kind: it ends the server, which reports it
            self.failure = error
            failed()
        else:
            ready()

    def _loaded(self) -> Served:
        model = self._load()
        size, channels = model.preprocessing.size, model.preprocessing.channels
        model.probabilities(np.zeros((1, channels, size, size), np.uint8))
        if not model.unexplainable:  # what the first explanation would wait for
            from convlab.explain import explanation  # noqa: F401

            _ = model.looked_into
        return model

    def _probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.ready().probabilities(images)

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, work)


def _decoded(model: Served, content: bytes) -> NDArray[np.uint8]:
    try:
        return model.pixels(content)
    except UnreadableImage as error:
        raise HTTPException(422, f"not a usable image: {error}") from None


def _explained(model: Served, content: bytes, target: int | None) -> Explanation:
    from convlab.explain.explanation import explain

    try:
        image = model.open(content)
        probability, chosen, pictures = explain(model.looked_into, image, target)
    except UnreadableImage as error:
        raise HTTPException(422, f"not a usable image: {error}") from None
    except ConvlabError as error:
        raise HTTPException(501, str(error)) from None
    return Explanation(
        class_name=model.classes[chosen],
        probability=probability,
        pictures=[
            ExplainedPicture(title=each.title, caption=each.caption, image=each.data_uri())
            for each in pictures
        ],
    )
