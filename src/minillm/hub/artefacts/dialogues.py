"""Dialogues for chatbots, one small file for each language and topic.

Left out are the topics that a textbook cannot use: broken code (coding), insults (psychology),
partisan remarks (politics), gossip about named people, and jokes at the expense of people (humor).

Book: chapter "Chat".
"""

from minillm.hub.artefacts.row import Artefact, Member

_FILES = """
english/ai.yml 8340 620a65787a56641db4a03e1419a7578e813967218cf6721e3ea4ef90844916aa
english/botprofile.yml 1385 1a694c5288f3f8f87d027d2f98dae71d02efa88e28853a6e5d27e6dbce907294
english/computers.yml 3744 a222c5a432efe4289e6c5edf1c3d99fd26c48df99db0ff893d1d5ab569f5b750
english/conversations.yml 4682 1cf105b5802f377b2dc145f741f7df85629c9ca27e450538165286a75b5e3416
english/emotion.yml 10337 510a018938c1880dd0f67e1ae458e26878c91a570daef5a84fb83713c89f0989
english/food.yml 1266 68eab2497721d03044d520b70c27d8a0d8ba8e505b3265fb3a1ff3e1a64c7124
english/greetings.yml 1035 0dd7eb8dcee8e2a38cd1a137bcfbd7f3eb732cddfa1bd396fac5a24b063a4d55
english/health.yml 201 eb88edc5302d688ca096374c7e3f5b9d7cd821f053a17d80204c4acdc20ea4f5
english/history.yml 795 0ff4beeb6ef9b641dc12e1039a149c6a03eb8f2e183702fad2b0997fcc1d63e3
english/literature.yml 4077 9361ff1478273d811259ca307a1e6be23a5e08e776a5bc5d9524fb13deb886f1
english/money.yml 2375 2911d9766625ff5c2feb3d784f2951b2ebd5e9658547efce7568d0282c49274b
english/movies.yml 1387 075ca9d91a527206c635c88bf0353323826a25a6f2057be1bc71888af389f842
english/science.yml 2397 3c259799bba36c67a1601fc264ec01ab051e9e63950734ce1ef644e022081fe7
english/sports.yml 2113 8d1bcc632cad4058e3b8490daa15dcd7c2a51790a7b9140b252600b794590403
english/tech_support.yml 97407 8a87cdf32579c8efdd9c5f3ef166ae9fb76dcf271b958f5e2265b9246b430655
english/trivia.yml 19836 3a9de77e6d82803d1ea3eba48cf6543c884908f4c4f50501fed69f88112994dc
chinese/ai.yml 4206 2bcf4865be21fe3617cc32bb6f7322e3b976fc367600c28c39f9d666713e26fc
chinese/botprofile.yml 587 7e036208f4df2a873591c40f973a5c421a1676f9d6d36de2fd8bd3b7fed3f734
chinese/conversations.yml 3636 b689bacb7b35467c5340f18b32a363a3affb76747c0e6bba78c17bbd15fafb66
chinese/emotion.yml 2606 b49abd01b2102d187dbb0d83ad989115d641d9b6798fa098adde2e7922ea4dff
chinese/food.yml 493 3d117953affeb6c62ab10ee2d9b58adabcef7b87e42c75afcb738e80b91ef702
chinese/greetings.yml 908 3ee79c3f1c35af1022bf46049968ab22435044b3bc9a287d72c1733c05322329
chinese/history.yml 667 1c54656a5c9054ab783f0f7ff903c0f1bf7d3e2b39f0daaeb0054a41ce24ef99
chinese/literature.yml 2127 823ce961391461ddfbde987f766082d39cee02349fd6adc1e686b761eec9e9e1
chinese/money.yml 1974 25b942878b8eed6fa3ef6a3cc3400323c5278dc37ee43c1ae31e818af6284574
chinese/movies.yml 1369 c047762ac4df1ce634efd00346c73076b1f66600f1e7fdabd6d96062eb8976df
chinese/science.yml 2483 5491bac9e5a6deaece06138fc235e9387e26bb73730b32afe43b5f28fb79ba15
chinese/sports.yml 1559 315658785fdefc6e15579d4c82971073a39dabe0ff9bf0b95ed10530dd206803
chinese/trivia.yml 916 46c1f8bd45d3d3e0c7f7644e7a1d9f8f23d2ecdf7f57bcb0709b355eabd114f2
"""


def _member(line: str) -> Member:
    """A file from its line: english/ai.yml is kept as english-ai.yml."""
    path, size, sha256 = line.split()
    return Member(
        path=f"chatterbot_corpus/data/{path}",
        size=int(size),
        sha256=sha256,
        saved_as=path.replace("/", "-"),
    )


DIALOGUES = Artefact(
    name="chatterbot-dialogues",
    what="short dialogues in English and Chinese for a chatbot, by topics, as YAML files",
    licence="BSD (package)",
    origin="ChatterBot corpus by Gunther Cox and contributors",
    requirement="chatterbot-corpus==1.3.3",
    archive_size=345_706,
    archive_sha256="86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
    members=tuple(map(_member, _FILES.strip().splitlines())),
)
