"""Is it really them: passwords, codes of a phone, recovery codes."""

from uuid import UUID

from aibridge_auth.crypto import totp
from aibridge_auth.crypto.passwords import Passwords
from aibridge_auth.crypto.tokens import digest
from aibridge_auth.users.store import User, use_recovery_code, use_step
from aibridge_common.clock import Clock
from aibridge_common.db.engine import Transaction
from aibridge_common.sealed import Sealer


class Proofs:
    """What a person shows, against what is kept of them."""

    def __init__(self, passwords: Passwords, sealer: Sealer, clock: Clock) -> None:
        self.passwords = passwords
        self._sealer = sealer
        self._clock = clock

    def seal(self, secret: str, user_id: UUID) -> bytes:
        """A phone's secret, for the table."""
        return self._sealer.seal(secret, user_id, "totp")

    async def code(self, tx: Transaction, user: User, code: str) -> bool:
        """Whether it is the phone's code of now, or a recovery code; either way it is used up."""
        if user.totp is None:
            return False
        secret = self._sealer.unseal(user.totp, user.id, "totp").reveal()
        step = totp.step_of(secret, code, self._clock.now().timestamp(), user.totp_used_step)
        if step is not None:
            return await use_step(tx, user.id, step)
        return user.second_factor and await use_recovery_code(
            tx, user.id, digest(code.strip().lower())
        )
