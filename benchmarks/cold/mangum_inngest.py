"""inngest in FastAPI, under Mangum: its own protocol."""

import os

import inngest
import inngest.fast_api
from fastapi import FastAPI
from mangum import Mangum

client = inngest.Inngest(app_id="bench", is_production=True, signing_key=os.environ["INNGEST_SIGNING_KEY"])


@client.create_function(fn_id="process", trigger=inngest.TriggerEvent(event="welcome"))
async def welcome(ctx: inngest.Context) -> dict[str, bool]:
    return {"ok": True}


app = FastAPI()
inngest.fast_api.serve(app, client, [welcome])
handler = Mangum(app, "off")
