"""The machine's load that MLflow records has that of its GPUs."""

import json
import os
import shutil
import subprocess
import sys

import pytest

DRIVER = """
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Rates;
int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { *handle = 0; return 0; }
int nvmlDeviceGetMemoryInfo(void *handle, Memory *memory) { *memory = (Memory){80e9, 20e9, 60e9}; return 0; }
int nvmlDeviceGetUtilizationRates(void *handle, Rates *rates) { *rates = (Rates){87, 5}; return 0; }
int nvmlDeviceGetPowerUsage(void *handle, unsigned *milliwatts) { *milliwatts = 350000; return 0; }
int nvmlDeviceGetEnforcedPowerLimit(void *handle, unsigned *milliwatts) { *milliwatts = 700000; return 0; }
"""
"""What NVIDIA's driver would say of a GPU."""

RECORD = """
import json
from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
monitor = GPUMonitor()
monitor.collect_metrics()
print(json.dumps(monitor.aggregate_metrics()))
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="the driver is made up with a C compiler")
def test_mlflow_reads_the_load_of_a_gpu(tmp_path):
    compile = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", tmp_path / "libnvidia-ml.so.1"]
    subprocess.run(compile, input=DRIVER, text=True, check=True)
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", RECORD], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {
        "gpu_0_memory_usage_percentage": 75.0,
        "gpu_0_memory_usage_megabytes": 60e3,
        "gpu_0_utilization_percentage": 87.0,
        "gpu_0_power_usage_watts": 350.0,
        "gpu_0_power_usage_percentage": 50.0,
    }
