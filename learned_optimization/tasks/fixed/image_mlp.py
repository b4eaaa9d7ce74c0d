"""Multi-layer perceptrons that classify images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp

from learned_optimization.tasks.base import Batch
from learned_optimization.tasks.datasets.image import (
    cifar10,
    cifar100,
    fashion_mnist,
    imagenet,
    mnist,
)
from learned_optimization.tasks.models.classification import (
    ImageClassificationTask,
    clip_to_chance,
    finite_or,
)
from learned_optimization.tasks.models.mlp import MLP, Activation
from learned_optimization.tasks.models.norm import Norm
from learned_optimization.tasks.registry import fixed_task


@dataclass(frozen=True)
class ImageMLPTask(ImageClassificationTask):
    """Classification of images by a multi-layer perceptron.

    Attributes:
      datasets: images and labels; give the sizes of the first and last layer.
      hidden: width of each hidden layer.
      activation: applied after every hidden layer.
      loss_kind: `"cross_entropy"`, the mean softmax cross entropy in nats, or
        `"mse"`, the mean squared error of the logits against one-hot labels over
        all entries.
      dropout: probability that a hidden unit is dropped.
      norm: `"layer"` or `"batch"` norm before every hidden activation, or None.
    """

    hidden: tuple[int, ...]
    activation: Activation = jax.nn.relu
    loss_kind: Literal["cross_entropy", "mse"] = "cross_entropy"
    dropout: float = 0.0
    norm: Norm | None = None

    @property
    def model(self) -> MLP:
        """Maps images `[batch, h, w, c]` to logits `[batch, num_classes]`."""
        return MLP(
            self.hidden, self.num_classes, self.activation, self.dropout, self.norm
        )

    @property
    def is_stateful(self) -> bool:
        """Whether the batch norm's moving averages are carried along."""
        return self.norm == "batch"

    def output_loss(self, output: jax.Array, data: Batch) -> jax.Array:
        """Return the loss of the logits `[batch, num_classes]`, a scalar."""
        if self.loss_kind == "mse":
            labels = jax.nn.one_hot(data["label"], self.num_classes)
            return jnp.mean(jnp.square(output - labels))
        return super().output_loss(output, data)

    def output_aux(self, output: jax.Array, data: Batch) -> Mapping[str, jax.Array]:
        """Return the share of images classified correctly; nothing for `mse`."""
        return {} if self.loss_kind == "mse" else super().output_aux(output, data)

    def normalizer(self, loss: jax.Array) -> jax.Array:
        """Map a loss to a bounded one; what is not finite becomes the worst.

        Cross entropy is clipped to `[0, 1.5 log(num_classes)]`; the mean squared
        error is clipped at 1 and multiplied by 10.
        """
        if self.loss_kind == "mse":
            return 10 * jnp.minimum(finite_or(1.0, loss), 1.0)
        return clip_to_chance(loss, self.num_classes)


@fixed_task
def ImageMLP_Cifar10BW8_Relu32() -> ImageMLPTask:
    """Grey CIFAR-10 at 8x8, one hidden layer of 32."""
    return ImageMLPTask(cifar10(128, image_size=8, is_grey=True), hidden=(32,))


@fixed_task
def ImageMLP_FashionMnist_Relu128x128() -> ImageMLPTask:
    """Fashion-MNIST at 28x28, two hidden layers of 128."""
    return ImageMLPTask(fashion_mnist(128), hidden=(128, 128))


@fixed_task
def ImageMLP_FashionMnist8_Relu32() -> ImageMLPTask:
    """Fashion-MNIST at 8x8, one hidden layer of 32."""
    return ImageMLPTask(fashion_mnist(128, image_size=8), hidden=(32,))


@fixed_task
def ImageMLP_FashionMnist16_Relu32() -> ImageMLPTask:
    """Fashion-MNIST at 16x16, one hidden layer of 32."""
    return ImageMLPTask(fashion_mnist(128, image_size=16), hidden=(32,))


@fixed_task
def ImageMLP_FashionMnist32_Relu32() -> ImageMLPTask:
    """Fashion-MNIST at 32x32, one hidden layer of 32."""
    return ImageMLPTask(fashion_mnist(128, image_size=32), hidden=(32,))


@fixed_task
def ImageMLP_Cifar10_8_Relu32() -> ImageMLPTask:
    """CIFAR-10 at 8x8, one hidden layer of 32."""
    return ImageMLPTask(cifar10(128, image_size=8), hidden=(32,))


@fixed_task
def ImageMLP_Imagenet16_Relu256x256x256() -> ImageMLPTask:
    """ImageNet at 16x16, three hidden layers of 256."""
    return ImageMLPTask(imagenet(128, image_size=16), hidden=(256, 256, 256))


@fixed_task
def ImageMLP_Cifar10_128x128x128_Relu() -> ImageMLPTask:
    """CIFAR-10 at 32x32, three hidden layers of 128."""
    return ImageMLPTask(cifar10(128), hidden=(128, 128, 128))


@fixed_task
def ImageMLP_Cifar100_128x128x128_Relu() -> ImageMLPTask:
    """CIFAR-100 at 32x32, three hidden layers of 128."""
    return ImageMLPTask(cifar100(128), hidden=(128, 128, 128))


@fixed_task
def ImageMLP_Cifar10_128x128x128_Tanh_bs64() -> ImageMLPTask:
    """CIFAR-10 at 32x32, three hidden layers of 128, tanh, batches of 64."""
    return ImageMLPTask(cifar10(64), hidden=(128, 128, 128), activation=jnp.tanh)


@fixed_task
def ImageMLP_Cifar10_128x128x128_Tanh_bs128() -> ImageMLPTask:
    """CIFAR-10 at 32x32, three hidden layers of 128, tanh."""
    return ImageMLPTask(cifar10(128), hidden=(128, 128, 128), activation=jnp.tanh)


@fixed_task
def ImageMLP_Cifar10_128x128x128_Tanh_bs256() -> ImageMLPTask:
    """CIFAR-10 at 32x32, three hidden layers of 128, tanh, batches of 256."""
    return ImageMLPTask(cifar10(256), hidden=(128, 128, 128), activation=jnp.tanh)


@fixed_task
def ImageMLP_Mnist_128x128x128_Relu() -> ImageMLPTask:
    """MNIST at 28x28, three hidden layers of 128."""
    return ImageMLPTask(mnist(128), hidden=(128, 128, 128))


@fixed_task
def ImageMLP_Cifar10_256x256_Relu() -> ImageMLPTask:
    """CIFAR-10 at 32x32, two hidden layers of 256."""
    return ImageMLPTask(cifar10(128), hidden=(256, 256))


@fixed_task
def ImageMLP_Cifar10_256x256_Relu_BS32() -> ImageMLPTask:
    """CIFAR-10 at 32x32, two hidden layers of 256, batches of 32."""
    return ImageMLPTask(cifar10(32), hidden=(256, 256))


@fixed_task
def ImageMLP_Cifar10_1024x1024_Relu() -> ImageMLPTask:
    """CIFAR-10 at 32x32, two hidden layers of 1024."""
    return ImageMLPTask(cifar10(128), hidden=(1024, 1024))


@fixed_task
def ImageMLP_Cifar10_4096x4096_Relu() -> ImageMLPTask:
    """CIFAR-10 at 32x32, two hidden layers of 4096."""
    return ImageMLPTask(cifar10(128), hidden=(4096, 4096))


@fixed_task
def ImageMLP_Cifar10_8192x8192_Relu() -> ImageMLPTask:
    """CIFAR-10 at 32x32, two hidden layers of 8192."""
    return ImageMLPTask(cifar10(128), hidden=(8192, 8192))


@fixed_task
def ImageMLP_Cifar10_16384x16384_Relu() -> ImageMLPTask:
    """CIFAR-10 at 32x32, two hidden layers of 16384."""
    return ImageMLPTask(cifar10(128), hidden=(16384, 16384))


@fixed_task
def ImageMLP_Cifar10_128x128x128_Relu_MSE() -> ImageMLPTask:
    """CIFAR-10 at 32x32, three hidden layers of 128, squared error."""
    return ImageMLPTask(cifar10(128), hidden=(128, 128, 128), loss_kind="mse")


@fixed_task
def ImageMLP_Cifar10_128x128_Dropout05_Relu_MSE() -> ImageMLPTask:
    """CIFAR-10 at 32x32, two hidden layers of 128, dropout 0.5, squared error."""
    return ImageMLPTask(cifar10(128), hidden=(128, 128), loss_kind="mse", dropout=0.5)


@fixed_task
def ImageMLP_Cifar10_128x128_Dropout08_Relu_MSE() -> ImageMLPTask:
    """CIFAR-10 at 32x32, two hidden layers of 128, dropout 0.8, squared error."""
    return ImageMLPTask(cifar10(128), hidden=(128, 128), loss_kind="mse", dropout=0.8)


@fixed_task
def ImageMLP_Cifar10_128x128_Dropout02_Relu_MSE() -> ImageMLPTask:
    """CIFAR-10 at 32x32, two hidden layers of 128, dropout 0.2, squared error."""
    return ImageMLPTask(cifar10(128), hidden=(128, 128), loss_kind="mse", dropout=0.2)


@fixed_task
def ImageMLP_Cifar10_128x128x128_LayerNorm_Relu() -> ImageMLPTask:
    """CIFAR-10 at 32x32, three hidden layers of 128, layer norm."""
    return ImageMLPTask(cifar10(128), hidden=(128, 128, 128), norm="layer")


@fixed_task
def ImageMLP_Cifar10_128x128x128_LayerNorm_Tanh() -> ImageMLPTask:
    """CIFAR-10 at 32x32, three hidden layers of 128, layer norm, tanh."""
    return ImageMLPTask(
        cifar10(128), hidden=(128, 128, 128), activation=jnp.tanh, norm="layer"
    )


@fixed_task
def ImageMLP_Cifar10_128x128x128_BatchNorm_Relu() -> ImageMLPTask:
    """CIFAR-10 at 32x32, three hidden layers of 128, batch norm."""
    return ImageMLPTask(cifar10(128), hidden=(128, 128, 128), norm="batch")


@fixed_task
def ImageMLP_Cifar10_128x128x128_BatchNorm_Tanh() -> ImageMLPTask:
    """CIFAR-10 at 32x32, three hidden layers of 128, batch norm, tanh."""
    return ImageMLPTask(
        cifar10(128), hidden=(128, 128, 128), activation=jnp.tanh, norm="batch"
    )
