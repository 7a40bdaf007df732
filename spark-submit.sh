#!/usr/bin/env bash
# Runs a job through plain spark-submit on this machine, as a cluster would: the code travels as an archive.
#
#   ./spark-submit.sh [SPARK-SUBMIT OPTION ...] jobs/JOB.py [JOB OPTION ...]
#
#   ./spark-submit.sh jobs/build_dataset.py INTENT
#   ./spark-submit.sh --master 'local[4]' --conf spark.driver.memory=4g jobs/build_dataset.py INTENT
#
# The exit status is the job's.
set -euo pipefail
home=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$home/.venv/bin/python

if [ $# -eq 0 ]; then
    sed -nE '2,/^set/s/^# ?//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
if [ ! -x "$python" ]; then
    echo "this checkout is not set up: run make setup" >&2
    exit 80
fi

# pyspark's own Spark, never another one of the machine or its settings; the same Python for driver and workers.
described=$("$python" "$home/scripts/describe_spark.py")
{ read -r SPARK_HOME; read -r SPARK_CONF_DIR; read -r jars; read -r java_options; } <<<"$described"
export SPARK_HOME SPARK_CONF_DIR SPARK_LOCAL_IP=127.0.0.1
export PYSPARK_PYTHON=$python PYSPARK_DRIVER_PYTHON=$python
# Where things are is said by this checkout, not by the archive: folders in a wiring are relative to its file.
export OFS_WIRING=${OFS_WIRING:-$home/conf/wiring/local.yaml}

code=$(mktemp -d)
trap 'rm -rf "$code"' EXIT
"$python" "$home/scripts/pack_code.py" "$code/ofs_spark.zip"

"$SPARK_HOME/bin/spark-submit" \
    --master 'local[*]' \
    --properties-file "$home/conf/spark/local.conf" \
    --driver-class-path "$jars" \
    --conf spark.driver.defaultJavaOptions="$java_options" \
    --py-files "$code/ofs_spark.zip" \
    "$@"
