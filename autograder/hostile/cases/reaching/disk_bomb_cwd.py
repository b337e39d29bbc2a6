"""Fills its own folder with one big file, then with thousands of small ones, 3 GB at most.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: (refused after|ended|did not run)
bomb: yes
"""
# %% end
block, written = b"x" * (16 << 20), 0
for number in range(20):
    try:
        with open(f"{HOST_MARK}-{number}", "wb") as file:
            while written < 3 << 30:
                file.write(block)
                written += len(block)
    except OSError as error:
        print("refused after", written >> 20, "MB", type(error).__name__)
if written >= 3 << 30:
    print("REACHED", written >> 20, "MB")
