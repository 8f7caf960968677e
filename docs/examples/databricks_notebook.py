# Databricks notebook source
# MAGIC %md
# MAGIC # Submit a checkpoint's outputs and read its scores
# MAGIC The outputs lie in a Unity Catalog volume, as `<prompt key>/<seed>.png` or as WebDataset shards.
# MAGIC The cluster needs the `evalhub` wheel: `%pip install /Volumes/…/evalhub-0.1.0-py3-none-any.whl`.

# COMMAND ----------

import os

from evalhub.client import Client

# A widget or a job parameter on Databricks, the environment anywhere else.
OUTPUTS = os.environ["OUTPUTS"]  # such as /Volumes/research/images/flow-xl/step-20000
STUDY, NAME, STEP = os.environ["STUDY"], os.environ["NAME"], int(os.environ["STEP"])

# COMMAND ----------

# MAGIC %md The token is a secret: `dbutils.secrets.get("evalhub", "token")` puts it into EVALHUB_TOKEN on Databricks.

# COMMAND ----------

site = Client()  # EVALHUB_URL and EVALHUB_TOKEN
submission = site.submit(STUDY, NAME, OUTPUTS, step=STEP)
print(submission.summary, submission.url)

# COMMAND ----------

# Survives restarts of the site; the cluster may as well be gone meanwhile, and this cell run again later.
rows = [
    {
        "metric": score.metric,
        "value": score.value,
        "low": score.low,
        "high": score.high,
        "n": score.n,
        "note": score.note,
    }
    for score in submission.wait(timeout=3600).scores()
]
for row in rows:
    print(row)

# COMMAND ----------

board = site.leaderboard(STUDY)
print([(row["checkpoint"], row["step"], row["rating"]) for row in board["rows"]])
site.close()
