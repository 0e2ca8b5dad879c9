using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// A device of a module and a server of 2009 that has one megabyte of memory: the least that it takes to tell the rows of the semantics
/// apart.
/// </summary>
internal sealed class RawRig : IDisposable
{
    /// <summary>Where the server's memory starts. Before it and behind it nothing is mapped.</summary>
    internal const ulong DataAddress = 0x10_0000;

    internal const ulong BadAddress = 0xBAD_0000;

    internal RawRig(AbuseModuleOptions? options = null, int number = 0)
    {
        Module = new AbuseModule(options);
        Device = Module.Open(number);
        Memory.Map(DataAddress, ServerBytes);
    }

    internal AbuseModule Module { get; }

    internal AbuseDevice Device { get; }

    internal AbuseControl Control => Device.Control;

    /// <summary>What is at <see cref="DataAddress"/>.</summary>
    internal byte[] ServerBytes { get; } = new byte[AbuseIoctl.MaxBioLength];

    internal UserMemoryMap Memory { get; } = new();

    internal AbuseInfo Status
    {
        get
        {
            Assert.That(Control.GetStatus(out AbuseInfo info), Is.EqualTo(Errno.None));
            return info;
        }
    }

    internal static AbuseInfo Info(
        ulong size = 1 << 20, uint blockSize = 512, uint maxQueue = 8, AbuseFlags flags = AbuseFlags.None) =>
        new() { Size = size, BlockSize = blockSize, MaxQueue = maxQueue, Flags = flags };

    /// <summary>A rig whose device is configured.</summary>
    internal static RawRig Configured(
        ulong size = 1 << 20, uint blockSize = 512, uint maxQueue = 8, AbuseFlags flags = AbuseFlags.None)
    {
        var rig = new RawRig();
        Assert.That(rig.Control.SetStatus(Info(size, blockSize, maxQueue, flags)), Is.EqualTo(Errno.None));
        return rig;
    }

    internal SubmittedBio Submit(in Bio bio, byte[]? memory = null) => new(Device.SubmitAsync(bio), memory ?? []);

    internal SubmittedBio Read(long offset = 0, int length = 512)
    {
        byte[] memory = new byte[length];
        return Submit(Bio.Read(offset, memory), memory);
    }

    internal SubmittedBio Write(long offset = 0, int length = 512, byte fill = 0)
    {
        byte[] memory = new byte[length];
        Array.Fill(memory, fill);
        return Submit(Bio.Write(offset, memory), memory);
    }

    /// <summary>GET_BIO, which must find one.</summary>
    internal AbuseTransferHeader Get(AbuseControl? control = null)
    {
        var header = default(AbuseTransferHeader);
        Assert.That((control ?? Control).GetBio(ref header), Is.EqualTo(Errno.None));
        return header;
    }

    /// <summary>PUT_BIO with a vector for each segment, one page apart from <paramref name="address"/> on.</summary>
    internal Errno Put(
        AbuseTransferHeader header, AbuseAnswer result = AbuseAnswer.Okay, ulong address = DataAddress, IUserMemory? memory = null,
        AbuseControl? control = null)
    {
        header.Result = result;
        return (control ?? Control).PutBio(header, Vectors(header.VectorCount, address), memory ?? Memory);
    }

    internal static AbuseVector[] Vectors(uint count, ulong address = DataAddress)
    {
        var vectors = new AbuseVector[Math.Min(count, AbuseIoctl.MaxVectors)];
        for (int i = 0; i < vectors.Length; i++)
        {
            vectors[i].Address = address + ((ulong)i * AbuseIoctl.MaxVectorLength);
        }

        return vectors;
    }

    /// <summary>
    /// The sectors of all that is pending, in the order in which GET_BIO hands it out. Fetching everything once leaves the order as it was.
    /// </summary>
    internal ulong[] Order() => [.. Enumerable.Range(0, Device.QueueSize).Select(_ => Get().Sector)];

    public void Dispose() => Module.Dispose();
}
