"""The plain Python server: MONAI's DenseNet121 in PyTorch behind http.server, a thread for each request.

usage: serving_torch.py WEIGHTS SIZE THREADS; prints its port
"""
import io
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# MONAI loads TensorFlow where it is installed, for nothing that is measured here
sys.modules["tensorflow"] = None

import numpy as np
import torch
from monai.networks.nets import DenseNet121
from PIL import Image
from safetensors.torch import load_file

weights, size, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
network = DenseNet121(spatial_dims=2, in_channels=1, out_channels=2)
network.load_state_dict(load_file(weights))
network.eval()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # else a small answer waits for the acknowledgement of its head
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        image = Image.open(io.BytesIO(body)).convert("L").resize((size, size), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.asarray(image, dtype=np.float32))[None, None]
        pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min())
        with torch.inference_mode():
            probabilities = torch.softmax(network(pixels), 1)[0].tolist()
        answer = json.dumps({"probabilities": probabilities}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
