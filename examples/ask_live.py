"""Send an image to a server that `posenet live` started, and print its pose.

python examples/ask_live.py photo.jpg [http://127.0.0.1:8077] [TOKEN]
"""

import json
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

image = Path(sys.argv[1])
server = sys.argv[2].rstrip("/") if len(sys.argv) > 2 else "http://127.0.0.1:8077"
request = Request(f"{server}/localize?name={quote(image.name)}", data=image.read_bytes())
request.add_header("Content-Type", "application/octet-stream")
if len(sys.argv) > 3:
    request.add_header("Authorization", f"Bearer {sys.argv[3]}")
try:
    pose = json.load(urlopen(request, timeout=120))
except HTTPError as error:
    sys.exit(json.load(error)["error"])
print(pose["name"], "position", pose["position"], "quaternion_wxyz", pose["quaternion_wxyz"])
if not pose["valid"]:
    print(f"not certain: {pose['reason']}")
