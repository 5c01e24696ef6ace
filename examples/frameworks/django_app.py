"""A Django project in one file: `gunicorn django_app`, or `python3 django_app.py runserver`."""

import os
import sys
import time

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

SECRET = os.environ.get("SECRET_KEY", "only for this example")
settings.configure(ALLOWED_HOSTS=["*"], DEBUG=True, ROOT_URLCONF=__name__, SECRET_KEY=SECRET)


def slow(_request: HttpRequest) -> HttpResponse:
    """Answer when the work is done."""
    time.sleep(float(os.environ.get("SECONDS", "1.5")))
    return HttpResponse("finished\n")


urlpatterns = [path("slow", slow)]
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
else:
    application = get_wsgi_application()
