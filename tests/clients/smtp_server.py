"""A mail server on this machine, on aiosmtpd, that takes all mail and tells of it in JSON lines.

Its one argument is a JSON object: `port`; `certificate` and `key`, where it offers STARTTLS; `login`, a name and a
password without which it takes nothing. It never asks for encryption by itself, so that who gives up on
that and goes on in clear is seen. It ends with its standard input.
"""

import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


def say(**what):
    print(json.dumps(what), flush=True)


def about(session):
    return {"encrypted": session.ssl is not None, "user": getattr(session, "auth_data", None)}


class Keeper:
    """Tells of each mail that is begun, and of each that has come."""

    async def handle_MAIL(self, server, session, envelope, address, options):
        say(begun=True, **about(session))
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
        say(to=envelope.rcpt_tos[0], subject=mail["Subject"], text=text, html=html,
            message_id=mail["Message-ID"], **about(session))
        return "250 OK"


def authenticator(login):
    name, password = login

    def check(server, session, envelope, mechanism, given):
        right = given.login == name.encode() and given.password == password.encode()
        say(login=right, encrypted=session.ssl is not None)
        return AuthResult(success=right, handled=False, auth_data=name if right else None)

    return check


def main():
    wish = json.loads(sys.argv[1])
    more = {}
    if "certificate" in wish:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(wish["certificate"], wish["key"])
        more["tls_context"] = tls
    if "login" in wish:
        more.update(authenticator=authenticator(wish["login"]), auth_required=True, auth_require_tls="certificate" in wish)
    controller = Controller(Keeper(), hostname="127.0.0.1", port=wish["port"], **more)
    controller.start()
    say(ready=True)
    sys.stdin.read()
    controller.stop()


main()
