"""A page without a map: it sends images and shows their poses as text."""

from __future__ import annotations

HTML = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>posenet live</title>
<style nonce="NONCE">
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem; }
pre { background: #eee; padding: 1rem; overflow: auto; }
</style>
<h1>posenet live</h1>
<p><input type="file" id="files" accept="image/*" multiple></p>
<pre id="answers">Choose images of the place.</pre>
<script nonce="NONCE">
history.replaceState(null, "", "/");
const answers = document.getElementById("answers");
document.getElementById("files").onchange = async (event) => {
  answers.textContent = "";
  for (const file of event.target.files) {
    const response = await fetch("/localize?name=" + encodeURIComponent(file.name),
      { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
    answers.textContent += JSON.stringify(await response.json(), null, 1) + "\\n";
  }
};
</script>
</html>
"""


def minimal_page(nonce: str) -> tuple[bytes, str]:
    """Return a page with an upload form.

    Args:
        nonce: the nonce of its script and style.

    Returns:
        The HTML, and its Content-Security-Policy.
    """
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'"
    )
    return HTML.replace("NONCE", nonce).encode(), policy
