"""A chat in the browser that says what it recalled. Serve: `streamlit run examples/streamlit_chat.py`."""

import streamlit as st

from memory_mgr import Context, Message, SyncMemoryManager


@st.cache_resource
def memory() -> SyncMemoryManager:
    """One for all sessions: a folder belongs to one process, which opens it once."""
    return SyncMemoryManager(path="streamlit-memory", namespace="chat")


def reply(user: str, text: str) -> tuple[str, Context]:
    """The model's answer, and what it was told before."""
    conversation = memory().scoped(user).conversation("browser")
    context = conversation.build_context(text, 300)
    answer = f"You said: {text}"  # your model answers here, told `context.text`
    conversation.add_messages([Message(role="user", content=text), Message(role="assistant", content=answer)])
    return answer, context


def page() -> None:
    st.title("Chat with a memory")
    user = st.sidebar.text_input("Who are you?", "ann")  # stands where your authentication does
    for message in memory().scoped(user).conversation("browser").window():
        st.chat_message(message.role).write(message.content)
    if text := st.chat_input("Say something"):
        st.chat_message("user").write(text)
        answer, context = reply(user, text)
        with st.chat_message("assistant"):
            st.write(answer)
            with st.expander(f"Recalled, {context.tokens} tokens"):
                st.text(context.text)


if __name__ == "__main__":
    if st.runtime.exists():
        page()
    else:
        for line in ("I am allergic to nuts.", "What must I not eat?"):
            said, recalled = reply("ann", line)
            print(f"{said}\nIt was told before:\n{recalled.text}\n")
        memory().close()
