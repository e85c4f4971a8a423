"""The page that logs a browser in to Prefect's pages: /ratchet/login#SECRET or /ratchet/login#SECRET&/PATH

Prefect's pages keep their password in the browser's local storage, so an address alone cannot log in. The part after
the # never leaves the browser: no request and no log contains it. This page removes it from the address bar, asks the
server whether it is right, stores it where Prefect's pages look, and opens the path on this server.
"""

import base64
import hashlib

KEY = "prefect-password"  # in the local storage, where Prefect's pages look
SCRIPT = f"""
const [secret, wanted] = location.hash.slice(1).split("&", 2);
history.replaceState(null, "", location.pathname);
const say = (text) => {{ document.querySelector("p").textContent = text; }};
const place = () => {{
  const found = new URL(wanted || "/", location.origin);
  return found.origin === location.origin ? found.href : location.origin + "/";
}};
const enter = async () => {{
  const kept = btoa(secret);
  const answer = await fetch("/api/admin/version", {{headers: {{Authorization: "Basic " + kept}}}});
  if (!answer.ok) return say("This address is out of date: `ratchet status` prints the current one.");
  localStorage.setItem("{KEY}", kept);
  location.replace(place());
}};
if (secret) enter().catch((error) => say("The login failed: " + error));
else say("Run `ratchet status` in a terminal: it prints the address that logs you in.");
"""
HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
RULES = f"default-src 'none'; script-src 'sha256-{HASH}'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
PAGE = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Prefect of Ratchet</title>
<body><p>Logging in ...</p><noscript>Prefect's pages need JavaScript.</noscript>
<script>{SCRIPT}</script></body></html>
"""
