# LiteLLM's own command, and nothing else. While its four thousand modules are loaded nothing can be freed: without the
# garbage collector, which is on again before anything is served, a start takes a quarter less of the processor.
import gc
import sys

gc.disable()
from litellm import run_server
import litellm.proxy.proxy_server

gc.enable()
sys.exit(run_server())
