using Abuse.Core.Interop;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core;

/// <summary>
/// One queue of a ublk device as its thread sees it: tags are fetched and committed, requests and wakes come back as events.
/// </summary>
/// <remarks>
/// The seam under <see cref="UblkQueue"/>: the kernel through a ring, or a double in memory. Made on any thread; all else but
/// <see cref="Wake"/> is called on the queue's own, which owns its tags as the kernel has it: a commit by another thread is EINVAL, and
/// when the thread ends so do its tags.
/// </remarks>
internal abstract class UblkQueuePort : IDisposable
{
    /// <summary>Memory that can be given to <see cref="Fetch"/> and its like by address. From any thread, also after disposal.</summary>
    internal virtual PinnedBuffer MakeBuffer(int size) => new(size);

    /// <summary>Sets up what belongs to the thread, before anything else.</summary>
    /// <exception cref="UblkException">The kernel doesn't let this process.</exception>
    internal abstract void Open();

    /// <summary>The request of a tag that an event announced; valid until the tag is committed.</summary>
    internal abstract ref readonly UblkIoDescriptor Descriptor(int tag);

    /// <summary>Offers a tag to the kernel for the first time; goes out with the next exchange.</summary>
    /// <param name="tag">The tag.</param>
    /// <param name="address">Where the kernel may copy its requests to and from; 0 where it is not to copy.</param>
    internal abstract void Fetch(int tag, nint address);

    /// <summary>Answers a tag's request and offers the tag again; goes out with the next exchange.</summary>
    /// <param name="tag">The tag.</param>
    /// <param name="result">Bytes done, all of them, or a negative errno.</param>
    /// <param name="address">As for <see cref="Fetch"/>; read results are there.</param>
    internal abstract void Commit(int tag, int result, nint address);

    /// <summary>User copy: a write request's bytes. 0, or an errno.</summary>
    internal abstract int CopyFromRequest(int tag, Span<byte> data);

    /// <summary>User copy: a read request's result. 0, or an errno.</summary>
    internal abstract int CopyToRequest(int tag, ReadOnlySpan<byte> data);

    /// <summary>The file that <see cref="StartFileIO"/> is about from now on; null for none. 0, or an errno.</summary>
    internal abstract int UseFile(SafeFileHandle? file);

    /// <summary>Reads or writes the file for a tag; an event of <see cref="UblkEventKind.File"/> tells how many bytes.</summary>
    /// <param name="tag">The tag.</param>
    /// <param name="write">Write, or read.</param>
    /// <param name="offset">Where in the file.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="address">The memory; or, if it is 0, the tag's own request, registered as a buffer.</param>
    /// <param name="skip">Bytes of the memory or request to pass over.</param>
    internal abstract void StartFileIO(int tag, bool write, long offset, int length, nint address, int skip);

    /// <summary>Hands everything over and takes events.</summary>
    /// <param name="events">Room for them.</param>
    /// <param name="wait">Whether to wait until there is one, or a signal of the system came.</param>
    /// <returns>How many; 0 is possible either way.</returns>
    internal abstract int Exchange(Span<UblkEvent> events, bool wait);

    /// <summary>Whether the kernel has all that was to be handed over: it may take less than that, for want of memory.</summary>
    internal abstract bool HasHandedOver { get; }

    /// <summary>Ends a wait in <see cref="Exchange"/>, or the next one. From any thread, also after disposal.</summary>
    internal abstract void Wake();

    /// <summary>On the queue's thread: gives the tags up, and lets go of everything that refers to the device.</summary>
    public abstract void Dispose();
}

/// <summary>What an event is about.</summary>
internal enum UblkEventKind : byte
{
    /// <summary>A tag: 0 is a request, ENODEV its end.</summary>
    Tag,

    /// <summary>File I/O for a tag: bytes, or a negative errno.</summary>
    File,

    /// <summary><see cref="UblkQueuePort.Wake"/> was called.</summary>
    Wake,
}

/// <summary>Something that happened on a queue.</summary>
internal readonly record struct UblkEvent(UblkEventKind Kind, int Tag, int Result);
