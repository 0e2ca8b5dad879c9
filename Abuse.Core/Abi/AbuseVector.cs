using System.Runtime.InteropServices;

namespace Abuse.Core.Abi;

/// <summary><c>abuse_vec</c>: 16 bytes, one segment of a bio.</summary>
[StructLayout(LayoutKind.Sequential, Size = 16)]
public record struct AbuseVector
{
    /// <summary>Where the server's bytes are, in its own memory. GET_BIO writes 0; PUT_BIO reads it.</summary>
    public ulong Address;

    /// <summary>The segment's bytes, at most 4096. Written by GET_BIO, ignored by PUT_BIO.</summary>
    public uint Length;

    /// <summary>The segment's offset in its page. Written by GET_BIO, ignored by PUT_BIO.</summary>
    public uint Offset;
}
