using System.Globalization;
using System.Runtime.InteropServices;

namespace Abuse.Core;

/// <summary>What a raw submitter hands to <see cref="AbuseDevice.SubmitAsync"/>: an operation, a range and memory.</summary>
/// <remarks>A value; the memory stays the caller's, and is the device's from the submission to the completion.</remarks>
public readonly struct Bio
{
    private Bio(BioOp op, long offset, long length, BioData data, bool fua)
    {
        Op = op;
        Offset = offset;
        Length = length;
        Data = data;
        Fua = fua;
    }

    /// <summary>What is asked.</summary>
    public BioOp Op { get; }

    /// <summary>Bytes from the start of the device; a multiple of 512.</summary>
    public long Offset { get; }

    /// <summary>Bytes; a multiple of 512.</summary>
    public long Length { get; }

    /// <summary>Whether a write must be durable when it completes.</summary>
    public bool Fua { get; }

    internal BioData Data { get; }

    /// <summary>Reads into <paramref name="memory"/>.</summary>
    public static Bio Read(long offset, Memory<byte> memory) => new(BioOp.Read, offset, memory.Length, new BioData(memory), false);

    /// <summary>Reads into several pieces of memory, in order. The list must not change until the bio completed.</summary>
    public static Bio Read(long offset, ReadOnlyMemory<Memory<byte>> segments)
    {
        var data = new BioData(segments);
        return new Bio(BioOp.Read, offset, data.Length, data, false);
    }

    /// <summary>Writes <paramref name="memory"/>; an empty one is 2009's barrier.</summary>
    public static Bio Write(long offset, ReadOnlyMemory<byte> memory, bool fua = false) =>
        new(BioOp.Write, offset, memory.Length, new BioData(MemoryMarshal.AsMemory(memory)), fua);

    /// <summary>Writes several pieces of memory, in order. The list must not change until the bio completed.</summary>
    public static Bio Write(long offset, ReadOnlyMemory<Memory<byte>> segments, bool fua = false)
    {
        var data = new BioData(segments);
        return new Bio(BioOp.Write, offset, data.Length, data, fua);
    }

    /// <summary>Makes what was written durable.</summary>
    public static Bio Flush() => new(BioOp.Flush, 0, 0, default, false);

    /// <summary>Gives a range up.</summary>
    public static Bio Discard(long offset, long length) => new(BioOp.Discard, offset, length, default, false);

    /// <summary>Zeroes a range.</summary>
    public static Bio WriteZeroes(long offset, long length, bool fua = false) => new(BioOp.WriteZeroes, offset, length, default, fua);

    /// <inheritdoc/>
    public override string ToString() => Op == BioOp.Flush
        ? "Flush"
        : string.Create(CultureInfo.InvariantCulture, $"{Op} {Length} bytes at {Offset}{(Fua ? ", FUA" : "")}");

    internal static Bio Of(BioOp op, long offset, in BioData data, bool fua) => new(op, offset, data.Length, data, fua);

    internal Bio At(long offset) => new(Op, offset, Length, Data, Fua);

    internal BioHead Head => new() { Op = Op, Offset = Offset, Length = Length, Fua = Fua };
}
