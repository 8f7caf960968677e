"""The least that a Django view which stores something can do: no middleware, one INSERT, on the database named by the
environment. Served by gunicorn as `tests.benchmarks._one_insert:application`; makes its table when run as a program."""

import os

import environ
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.http import HttpRequest, HttpResponse
from django.urls import path

database = environ.Env.db_url_config(os.environ["DATABASE_URL"])
settings.configure(
    SECRET_KEY="only-for-benchmarks",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {**database, "CONN_MAX_AGE": 60}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
application = get_wsgi_application()


class Row(models.Model):
    """As wide as a vote."""

    comparison = models.BigIntegerField()
    choice = models.CharField(max_length=12)
    milliseconds = models.IntegerField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "bare"
        db_table = "bare_row"

    def __str__(self) -> str:
        return f"Row {self.pk}"


def insert(request: HttpRequest) -> HttpResponse:
    values = request.POST
    Row(comparison=int(values["comparison"]), choice=values["choice"], milliseconds=int(values["milliseconds"])).save()
    return HttpResponse(status=204)


urlpatterns = [path("insert", insert)]

if __name__ == "__main__":
    with connection.schema_editor() as editor:
        editor.create_model(Row)
