from typing import Any

MultiModalDataDict = dict[str, Any]
TokensPrompt = dict
TextPrompt = dict
