"""A form that orders a report, and a page that shows how far it is: no script, the page reloads itself.

nextmq dev -- gunicorn --threads 8 examples.flask.app:app
"""

from __future__ import annotations

from flask import Flask, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from nextmq_adapters.flask import nextmq_blueprint
from nextmq_handler import Queue

from .jobs import reports
from .orders import YEARS

app = Flask(__name__)
app.register_blueprint(nextmq_blueprint(workers=[reports]), url_prefix="/api/nextmq")

queue = Queue("reports")

KINDS = {"by-currency": "Turnover by currency", "in-euros": "Turnover in euros"}


@app.route("/")
def form() -> str:
    """Show the form."""
    return render_template("form.html", kinds=KINDS, years=YEARS)


@app.route("/reports", methods=["POST"])
def order_report() -> Response:
    """Enqueue the report and send the visitor to its page."""
    kind, year = request.form.get("kind"), request.form.get("year", type=int)
    if kind not in KINDS or year not in YEARS:
        abort(400)
    job = queue.add(kind, {"year": year}, attempts=3, backoff={"type": "exponential", "delay": 1000})
    # 303, so that a reload of the report's page does not order another one.
    return redirect(url_for("show_report", job_id=job.id), 303)


@app.route("/reports/<job_id>")
def show_report(job_id: str) -> str:
    """How far the report is; in the end the report. Ids are counted: an app with users checks whose it is."""
    job = queue.get_job(job_id)
    if job is None:
        abort(404)
    return render_template("report.html", job=job, title=f"{KINDS[job.name]} {job.data['year']}")
