"""Asks one question through iFlytek's own SDK.

Called as `spark_client.py URL APP KEY SECRET DOMAIN QUESTION`.
Prints what it hears as one line of JSON.
"""

import json
import sys

from sparkai.core.messages import ChatMessage
from sparkai.errors import SparkAIConnectionError
from sparkai.llm.llm import ChatSparkLLM

url, app, key, secret, domain, question = sys.argv[1:]
spark = ChatSparkLLM(
    spark_api_url=url,
    spark_app_id=app,
    spark_api_key=key,
    spark_api_secret=secret,
    spark_llm_domain=domain,
    streaming=True,
    request_timeout=10,
)
heard = {"chunks": [], "usage": {}, "error": ""}
try:
    for chunk in spark.stream([ChatMessage(role="user", content=question)]):
        heard["chunks"].append(chunk.content)
        heard["usage"] = chunk.additional_kwargs.get("token_usage", heard["usage"])
except SparkAIConnectionError as error:
    heard["error"] = str(error)
sys.stdout.write(json.dumps(heard, ensure_ascii=False) + "\n")
