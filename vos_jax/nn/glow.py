"""Glow (Kingma and Dhariwal, NeurIPS 2018), perhaps with a condition: densities of small maps."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vos_jax.nn.blocks import Conv
from vos_jax.ops.convolution import convolution

HIDDEN = nn.initializers.normal(0.05)
ZEROS = nn.initializers.zeros_init()
CONDITION_WIDTH = 64
UNTRAINED = ("*/mixing/permutation", "*/mixing/sign")
"""File-name patterns of what stays as it was drawn."""

Maps = Float[Array, "n y x c"]
Condition = Float[Array, "n y x k"]
Halves = Float[Array, "n y x h"]
AnyMaps = Float[Array, "_ _ _ _"]
Known = tuple[Maps, Float[Array, "#n"]]
"""Maps after a step, and the logarithm of its Jacobian's determinant."""


class ActivationNorm(nn.Module):
    """Scale and shift of each channel.

    When the parameters are mutable (after their initialisation), they are set from the maps that
    come in, so that those that go out have mean 0 and variance 1.

    Attributes:
        channels: of the maps.
    """

    channels: int

    def setup(self):
        """Makes the parameters."""
        self.shift = self.param("shift", ZEROS, (self.channels,))
        self.scale = self.param("scale", nn.initializers.ones_init(), (self.channels,))

    def __call__(self, x: Maps) -> Known:
        """Shifts, then scales."""
        shift, scale = self.shift, self.scale
        if self.is_mutable_collection("params") and not self.is_initializing():
            shift = -x.mean((0, 1, 2))
            scale = 1 / (x.std((0, 1, 2), ddof=1) + 1e-6)
            self.put_variable("params", "shift", shift)
            self.put_variable("params", "scale", scale)
        return scale * (x + shift), _cells(x) * jnp.log(jnp.abs(scale)).sum(keepdims=True)

    def inverse(self, y: Maps) -> Maps:
        """Undoes the call."""
        return y / self.scale - self.shift


class Mixing(nn.Module):
    """An invertible matrix over channels, at first a random rotation.

    Attributes:
        channels: of the maps.
        factored: whether the matrix is kept as P (L + I) (U + diag(sign exp(log_scale))).
    """

    channels: int
    factored: bool

    def setup(self):
        """Makes the parameters."""
        size, names = self.channels, ("permutation", "lower", "upper", "sign", "log_scale")
        if not self.factored:
            self.kernel = self.param("kernel", nn.initializers.orthogonal(), (size, size))
            return
        key = self.make_rng("params") if self.is_initializing() else jax.random.key(0)
        drawn = [self.param(name, lambda _, n=name: _factors(key, size)[n]) for name in names]
        permutation, lower, upper, sign, self.log_scale = drawn
        scale = jnp.diag(jax.lax.stop_gradient(sign) * jnp.exp(self.log_scale))
        left = jax.lax.stop_gradient(permutation) @ (jnp.tril(lower, -1) + jnp.eye(size))
        self.kernel = (left @ (jnp.triu(upper, 1) + scale)).T

    def __call__(self, x: Maps) -> Known:
        """Multiplies the channels with the matrix."""
        if self.factored:
            log_determinant = self.log_scale.sum(keepdims=True)
        else:
            log_determinant = jnp.linalg.slogdet(self.kernel)[1][None]
        return x @ self.kernel, _cells(x) * log_determinant

    def inverse(self, y: Maps) -> Maps:
        """Undoes the call."""
        return y @ jnp.linalg.inv(self.kernel)


class ZeroConv(nn.Module):
    """A 3x3 convolution of maps framed by ones, whose outputs are 0 at first.

    Attributes:
        features: output channels.
    """

    features: int

    @nn.compact
    def __call__(self, x: Maps) -> Float[Array, "n y x f"]:
        """Convolves a batch of maps."""
        kernel = self.param("kernel", ZEROS, (3, 3, x.shape[-1], self.features))
        bias = self.param("bias", ZEROS, (self.features,))
        scale = self.param("scale", ZEROS, (self.features,))
        framed = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1)
        return (convolution(framed, kernel)[:, 1:-1, 1:-1] + bias) * jnp.exp(3 * scale)


class Coupling(nn.Module):
    """Moves the second half of the channels by what a network makes of the first.

    Attributes:
        channels: of the maps.
        affine: whether they are scaled too.
        hidden: width of the network.
    """

    channels: int
    affine: bool
    hidden: int

    def setup(self):
        """Makes the network."""
        self.conv1 = Conv(self.hidden, 3, kernel_init=HIDDEN, bias_init=ZEROS)
        self.conv2 = Conv(self.hidden, 1, kernel_init=HIDDEN, bias_init=ZEROS)
        self.last = ZeroConv(self.channels // (1 if self.affine else 2))

    def __call__(self, x: Maps, condition: Condition | None) -> Known:
        """Moves the second half."""
        still, moved = jnp.split(x, 2, axis=-1)
        shift, log_scale = self._motion(still, condition)
        moved = (moved + shift) * jnp.exp(log_scale)
        return jnp.concatenate([still, moved], -1), _total(log_scale)

    def inverse(self, y: Maps, condition: Condition | None) -> Maps:
        """Undoes the call."""
        still, moved = jnp.split(y, 2, axis=-1)
        shift, log_scale = self._motion(still, condition)
        return jnp.concatenate([still, moved * jnp.exp(-log_scale) - shift], -1)

    def _motion(self, still: Maps, condition: Condition | None) -> tuple[Maps, AnyMaps]:
        seen = still if condition is None else jnp.concatenate([still, condition], -1)
        out = self.last(jax.nn.relu(self.conv2(jax.nn.relu(self.conv1(seen)))))
        return _shift_and_scale(out) if self.affine else (out, jnp.zeros((1, 1, 1, 1)))


class Injector(nn.Module):
    """Shifts and scales maps by what a network makes of the condition.

    Attributes:
        channels: of the maps.
    """

    channels: int

    def setup(self):
        """Makes the network."""
        self.conv1 = Conv(CONDITION_WIDTH, 3)
        self.last = ZeroConv(2 * self.channels)

    def __call__(self, x: Maps, condition: Condition) -> Known:
        """Shifts, then scales."""
        shift, log_scale = self._motion(condition)
        return (x + shift) * jnp.exp(log_scale), _total(log_scale)

    def inverse(self, y: Maps, condition: Condition) -> Maps:
        """Undoes the call."""
        shift, log_scale = self._motion(condition)
        return y * jnp.exp(-log_scale) - shift

    def _motion(self, condition: Condition) -> tuple[Halves, Halves]:
        return _shift_and_scale(self.last(jax.nn.relu(self.conv1(condition))))


class Step(nn.Module):
    """Normalises, mixes, injects the condition where there is one, couples.

    Attributes:
        channels: of the maps.
        affine: see `Coupling`.
        factored: see `Mixing`.
        conditional: whether there is a condition.
        hidden: see `Coupling`.
    """

    channels: int
    affine: bool
    factored: bool
    conditional: bool
    hidden: int

    def setup(self):
        """Makes the parts."""
        self.norm = ActivationNorm(self.channels)
        self.mixing = Mixing(self.channels, self.factored)
        if self.conditional:
            self.injector = Injector(self.channels)
        self.coupling = Coupling(self.channels, self.affine, self.hidden)

    def __call__(self, x: Maps, condition: Condition | None) -> Known:
        """Passes the parts one after the other."""
        x, total = self.norm(x)
        x, term = self.mixing(x)
        total += term
        if self.conditional:
            x, term = self.injector(x, condition)
            total += term
        x, term = self.coupling(x, condition)
        return x, total + term

    def inverse(self, y: Maps, condition: Condition | None) -> Maps:
        """Undoes the call."""
        y = self.coupling.inverse(y, condition)
        if self.conditional:
            y = self.injector.inverse(y, condition)
        return self.norm.inverse(self.mixing.inverse(y))


class Glow(nn.Module):
    """The flow: levels of steps, between which half of the channels leave.

    Agrees with modeling/glow.py of HEVis; there, all levels but the last are not factored.

    Attributes:
        channels: of the maps that come in.
        steps: of each level.
        levels: their number; sides of the maps are multiples of 2 to this power.
        affine: see `Coupling`.
        factored: whether the matrices of all levels are factored, or those of the last alone.
        conditional: whether densities depend on a condition per level.
        hidden: see `Coupling`.
    """

    channels: int
    steps: int
    levels: int = 1
    affine: bool = False
    factored: bool = True
    conditional: bool = False
    hidden: int = 512

    def setup(self):
        """Makes steps and priors."""
        parts, priors = {}, []
        for level in range(self.levels):
            last = level == self.levels - 1
            width = 4 * self.channels * 2**level
            kind = (self.affine, self.factored or last, self.conditional, self.hidden)
            parts |= {f"{level}_{step}": Step(width, *kind) for step in range(self.steps)}
            priors.append(ZeroConv(2 * width if last else width))
        self.parts, self.priors = parts, priors

    def __call__(
        self, x: Maps, conditions: tuple[AnyMaps, ...] | None = None
    ) -> tuple[Float[Array, " n"], Float[Array, "#n"], tuple[AnyMaps, ...]]:
        """The logarithms of the latents' density and of the determinant, and the latents.

        Args:
            x: maps.
            conditions: of each level, at half the level before's size; None without.

        Returns:
            `log_p + log_determinant` is the log density of each map. A determinant that depends
            on no map comes once.
        """
        log_p, log_determinant, latents = 0.0, 0.0, []
        for level in range(self.levels):
            x = squeeze(x)
            for step in self._steps(level):
                x, term = step(x, conditions and conditions[level])
                log_determinant = log_determinant + term
            x, latent, mean, log_sd = self._split(level, x)
            log_p = log_p + _total(_normal(latent, mean, log_sd))
            latents.append(latent)
        return log_p, log_determinant, tuple(latents)

    def inverse(
        self,
        latents: tuple[AnyMaps, ...],
        conditions: tuple[AnyMaps, ...] | None = None,
        drawn: bool = False,
    ) -> Maps:
        """The maps that the call turns into these latents.

        Args:
            latents: of each level.
            conditions: as in the call.
            drawn: whether they are normal noise instead, which the priors shift and scale.
        """
        x = None
        for level in reversed(range(self.levels)):
            latent = latents[level]
            if drawn:
                mean, log_sd = self._prior(level, latent if x is None else x)
                latent = mean + jnp.exp(log_sd) * latent
            x = latent if x is None else jnp.concatenate([x, latent], -1)
            for step in reversed(self._steps(level)):
                x = step.inverse(x, conditions and conditions[level])
            x = unsqueeze(x)
        return x

    def _steps(self, level: int) -> list[Step]:
        return [self.parts[f"{level}_{step}"] for step in range(self.steps)]

    def _split(self, level: int, x: Maps) -> tuple[Halves | None, AnyMaps, AnyMaps, AnyMaps]:
        """What goes on, the latent, and its prior's mean and log deviation."""
        if level == self.levels - 1:
            return None, x, *self._prior(level, x)
        kept, latent = jnp.split(x, 2, axis=-1)
        return kept, latent, *self._prior(level, kept)

    def _prior(self, level: int, kept: Maps) -> tuple[Maps, Maps]:
        """From what goes on; on the last level nothing does."""
        seen = jnp.zeros_like(kept) if level == self.levels - 1 else kept
        return tuple(jnp.split(self.priors[level](seen), 2, axis=-1))


def squeeze(x: Maps) -> Float[Array, "n y2 x2 c4"]:
    """Patches of 2x2 cells as channels: of each channel, row by row."""
    n, height, width, c = x.shape
    patches = x.reshape(n, height // 2, 2, width // 2, 2, c)
    return patches.transpose(0, 1, 3, 5, 2, 4).reshape(n, height // 2, width // 2, 4 * c)


def unsqueeze(x: Maps) -> Float[Array, "n y2 x2 c4"]:
    """Undoes `squeeze`."""
    n, height, width, c = x.shape
    patches = x.reshape(n, height, width, c // 4, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return patches.reshape(n, 2 * height, 2 * width, c // 4)


def _factors(key: Array, size: int) -> dict[str, Array]:
    """A random rotation, factored."""
    permutation, lower, upper = jax.scipy.linalg.lu(jax.random.orthogonal(key, size))
    diagonal = jnp.diag(upper)
    scale = {"sign": jnp.sign(diagonal), "log_scale": jnp.log(jnp.abs(diagonal))}
    return {"permutation": permutation, "lower": lower, "upper": upper, **scale}


def _shift_and_scale(out: Maps) -> tuple[Halves, Halves]:
    """Shift and logarithm of the scale, which lies in (0, 1)."""
    log_scale, shift = jnp.split(out, 2, axis=-1)
    return shift, jax.nn.log_sigmoid(log_scale + 2)


def _normal(x: Maps, mean: Maps, log_sd: Maps) -> Maps:
    return -0.5 * math.log(2 * math.pi) - log_sd - 0.5 * (x - mean) ** 2 * jnp.exp(-2 * log_sd)


def _total(x: Maps) -> Float[Array, " n"]:
    return x.sum((1, 2, 3))


def _cells(x: Maps) -> int:
    return x.shape[1] * x.shape[2]
