"""A Redis transport that outlives a broker restart.

kombu 5.7 dereferences a closed connection while it re-subscribes after Redis went away under a running task; with more
than one child the worker then exits. Raising the connection error that kombu already handles makes it reconnect.
"""

from typing import Any

import redis
from kombu.transport import redis as kombu_redis


class Channel(kombu_redis.Channel):
    def _connparams(self, *args: Any, **kwargs: Any) -> Any:
        if self.connection is None or self.connection.client is None:
            raise redis.exceptions.ConnectionError("The connection to Redis was closed; the worker reconnects.")
        return super()._connparams(*args, **kwargs)


class Transport(kombu_redis.Transport):
    Channel = Channel
