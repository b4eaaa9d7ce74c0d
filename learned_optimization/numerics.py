"""What in jax's configuration changes numbers, and what is done about it.

Every flag of `jax.config` is in one of three tables. Those in `PINNED` have one right
value, which a run is given whatever the process has. Those in `RECORDED` may be set by
a person who means them: results record those that are not at their default, and are
other results than those under the defaults. The rest, `HARMLESS`, changes no number of
a run, but where it is computed, or what is logged, checked, cached or refused.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

PINNED: dict[str, Any] = {
    # What random numbers a key stands for.
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
}
"""Flags with one right value, and that value."""

RECORDED: dict[str, Any] = {
    # Types.
    "jax_enable_x64": False,
    "jax_explicit_x64_dtypes": "warn",
    # How exactly products and sums are computed.
    "jax_allow_f16_reductions": True,
    "jax_default_matmul_precision": None,
    "jax2tf_associative_scan_reductions": False,
    # Random numbers of a task that makes keys of its own, or uses Gumbel noise.
    "jax_random_seed_offset": 0,
    "jax_high_dynamic_range_gumbel": False,
    "jax_threefry_gpu_kernel_lowering": False,
    # Another program for the same mathematics: it rounds differently.
    "eager_constant_folding": False,
    "jax_bcoo_cusparse_lowering": False,
    "jax_compiler_enable_remat_pass": True,
    "jax_custom_vjp3": False,
    "jax_disable_jit": False,
    "jax_disable_most_optimizations": False,
    "jax_embedded_constants_max_bytes": 32,
    "jax_exec_time_optimization_effort": 0.0,
    "jax_memory_fitting_effort": 0.0,
    "jax_memory_fitting_level": "O2",
    "jax_mosaic_allow_hlo": False,
    "jax_optimization_level": "UNKNOWN",
    "jax_pallas_use_mosaic_gpu": True,
    "jax_ragged_dot_use_gpu_pallas_triton_lowering": False,
    "jax_ragged_dot_use_ragged_dot_instruction": True,
    "jax_remat3": False,
    "jax_scan3": False,
    "jax_softmax_custom_jvp": False,
    "jax_use_direct_linearize": True,
    "jax_use_emit_pipeline_primitive": False,
    "jax_use_magma": "auto",
    "jax_use_shardy_partitioner": True,
    "jax_use_simplified_jaxpr_constants": False,
    "jax_xla_profile_version": 0,
}
"""Flags that results record where they are not at these defaults."""

HARMLESS = frozenset(
    {
        # Where things are computed: recorded as the accelerator.
        "jax_backend_target",
        "jax_cuda_visible_devices",
        "jax_default_device",
        "jax_mock_gpu_topology",
        "jax_num_cpu_devices",
        "jax_oneapi_visible_devices",
        "jax_platform_name",
        "jax_platforms",
        "jax_pjrt_client_create_options",
        "jax_rocm_visible_devices",
        "jax_sort_devices_by_process_index",
        "jax_xla_backend",
        "mock_num_gpu_processes",
        # Several processes and their traffic.
        "jax_cpu_collectives_implementation",
        "jax_cpu_enable_async_dispatch",
        "jax_cpu_get_global_topology_timeout_minutes",
        "jax_cpu_get_local_topology_timeout_minutes",
        "jax_cross_host_transfer_socket_address",
        "jax_cross_host_transfer_timeout_seconds",
        "jax_cross_host_transfer_transfer_size",
        "jax_cross_host_transport_addresses",
        "jax_distributed_debug",
        "jax_enable_preemption_service",
        "jax_enable_recoverability",
        "jax_experimental_unsafe_xla_runtime_errors",
        "jax_force_dcn_cross_host_transfers",
        "jax_share_binary_between_hosts",
        "jax_share_binary_between_hosts_timeout_ms",
        # Compiled programs on disk, and schedules from profiles.
        "jax_compilation_cache_check_contents",
        "jax_compilation_cache_dir",
        "jax_compilation_cache_expect_pgle",
        "jax_compilation_cache_include_metadata_in_key",
        "jax_compilation_cache_max_size",
        "jax_enable_compilation_cache",
        "jax_enable_pgle",
        "jax_persistent_cache_enable_xla_caches",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
        "jax_pgle_aggregation_percentile",
        "jax_pgle_profiling_runs",
        "jax_raise_persistent_cache_errors",
        "jax_remove_custom_partitioning_ptr_from_cache_key",
        # Export of programs.
        "jax2tf_default_native_serialization",
        "jax_export_calling_convention_version",
        "jax_export_ignore_forward_compatibility",
        "jax_serialization_version",
        # What is checked or refused: a program that passes computes the same.
        "check_vma",
        "jax_auto_pcast",
        "jax_check_proxy_envs",
        "jax_check_static_indices",
        "jax_check_tracer_leaks",
        "jax_debug_infs",
        "jax_debug_key_reuse",
        "jax_debug_leaked_clients_on_clear_backends",
        "jax_debug_nans",
        "jax_disable_bwd_checks",
        "jax_disable_vmap_shmap_error",
        "jax_disallow_mesh_context_manager",
        "jax_enable_checks",
        "jax_error_checking_behavior_divide",
        "jax_error_checking_behavior_nan",
        "jax_error_checking_behavior_oob",
        "jax_mutable_array_checks",
        "jax_no_execution",
        "jax_no_tracing",
        "jax_numpy_dtype_promotion",
        "jax_numpy_rank_promotion",
        "jax_pallas_enable_debug_checks",
        "jax_pallas_poison_buffers",
        "jax_refs_to_pins",
        "jax_remove_size_one_mesh_axis_from_type",
        "jax_thread_guard",
        "jax_transfer_guard",
        "jax_transfer_guard_device_to_device",
        "jax_transfer_guard_device_to_host",
        "jax_transfer_guard_host_to_device",
        # The style of keys, not their kind: numbers drawn are the same.
        "jax_enable_custom_prng",
        "jax_legacy_prng_key",
        # What is logged and written for people.
        "jax_array_garbage_collection_guard",
        "jax_captured_constants_report_frames",
        "jax_captured_constants_warn_bytes",
        "jax_compiler_detailed_logging_min_ops",
        "jax_debug_log_modules",
        "jax_dump_ir_modes",
        "jax_dump_ir_to",
        "jax_explain_cache_misses",
        "jax_hlo_source_file_canonicalization_regex",
        "jax_include_debug_info_in_dumps",
        "jax_include_full_tracebacks_in_locations",
        "jax_log_checkpoint_residuals",
        "jax_log_compiles",
        "jax_logging_level",
        "jax_pallas_verbose_errors",
        "jax_pprint_use_color",
        "jax_send_traceback_to_runtime",
        "jax_source_url_schema",
        "jax_traceback_filtering",
        "jax_traceback_in_locations_limit",
        "jax_tracer_error_num_traceback_frames",
    }
)
"""Flags that change no number of a run."""

# What XLA and the libraries below it read themselves.
_VARIABLES = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")
# Options among them that say how many devices there are, and what is written.
_HARMLESS_OPTIONS = (
    "xla_force_host_platform_device_count",
    "xla_dump_",
    "xla_gpu_cuda_data_dir",
    "xla_hlo_profile",
)


@contextmanager
def pinned() -> Iterator[None]:
    """Give the flags of `PINNED` their values, for this thread and the block."""
    # Not at the top: who compares records does not need jax, which takes seconds.
    import jax

    with (
        jax.default_prng_impl(PINNED["jax_default_prng_impl"]),
        jax.threefry_partitionable(PINNED["jax_threefry_partitionable"]),
    ):
        yield


def changed() -> dict[str, str]:
    """Return what is not at its default here, of `RECORDED` and XLA's own options.

    Returns:
      Flag, or environment variable, to its value as text, sorted by name.
    """
    import jax

    values = jax.config.values
    found = {
        name: _text(values[name])
        for name, default in RECORDED.items()
        if name in values and _text(values[name]) != _text(default)
    }
    for name in _VARIABLES:
        if options := _options(os.environ.get(name, "")):
            found[name] = " ".join(options)
    return dict(sorted(found.items()))


def _options(text: str) -> list[str]:
    """Return XLA's options that change numbers, sorted, each as it counts."""
    if text.strip() and not text.lstrip().startswith("-"):
        # The name of a file that holds them.
        with suppress(OSError), open(text.strip(), errors="replace") as file:
            text = file.read()
    # Of one that is given twice the last counts.
    last = {option.partition("=")[0]: option for option in text.split()}
    return sorted(
        option
        for name, option in last.items()
        if not name.lstrip("-").startswith(_HARMLESS_OPTIONS)
    )


def record() -> str:
    """Return the text that a result records as `jax_config`; empty for the defaults."""
    return "\n".join(f"{name}={value}" for name, value in changed().items())


def environment() -> dict[str, str]:
    """Return environment variables that give another process what is changed here."""
    return {name.upper(): value for name, value in changed().items()}


def shown(text: str) -> str:
    """Return a record for a person to read: `jax_enable_x64=True`, say."""
    return ", ".join(text.splitlines()) or "jax's defaults"


def _text(value: Any) -> str:
    return str(value.name.lower() if isinstance(value, enum.Enum) else value)
