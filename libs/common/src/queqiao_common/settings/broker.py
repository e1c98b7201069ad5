"""How the broker is reached."""

import ssl
from typing import Annotated

from msgspec import Meta, field

from queqiao_common.settings.base import Secret, Section


class Tls(Section, frozen=True, kw_only=True):
    """TLS towards the broker; file paths in PEM."""

    ca: str = ""
    cert: str = ""
    key: str = ""

    def context(self) -> ssl.SSLContext:
        """Return the context that these files describe."""
        context = ssl.create_default_context(cafile=self.ca or None)
        if self.cert:
            context.load_cert_chain(self.cert, self.key or None)
        return context


class Nats(Section, frozen=True, kw_only=True):
    """`[nats]`: the broker."""

    url: Annotated[str, Meta(description="`QUEQIAO_NATS_URL` wins; several, with commas")] = (
        "nats://127.0.0.1:4222"
    )
    user: str = ""
    password: Secret = field(default_factory=Secret)
    creds: Annotated[str, Meta(description="path of a credentials file")] = ""
    nkey_seed_file: Annotated[str, Meta(description="path of an nkey seed")] = ""
    tls: Tls | None = None
    replicas: Annotated[int, Meta(ge=1, le=5, description="of each stream; 3 in production")] = 1
    stream_bytes: Annotated[
        float, Meta(gt=0, description="scales the default size limit of every stream")
    ] = 1.0
    apply_topology: Annotated[
        bool, Meta(description="services create what is missing at start; off: a job does")
    ] = True
