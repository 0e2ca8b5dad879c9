using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>What a host tells of its device: GET_STATUS's structure, and what 2009 does not know. 64 bytes.</summary>
internal readonly record struct RemoteStatus(AbuseInfo Info, BlockFeatures Features, int AtomicUnit, bool IsRotational)
{
    internal const int Size = 64;

    internal static RemoteStatus Of(AbuseDevice device)
    {
        device.Control.GetStatus(out AbuseInfo info);
        DeviceConfig config = device.Queue.Config;
        return new RemoteStatus(info, config.Features, config.AtomicUnit, config.Rotational);
    }

    internal void Write(Span<byte> destination)
    {
        MemoryMarshal.Write(destination, Info);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[RemoteFrame.InfoSize..], (uint)Features);
        BinaryPrimitives.WriteInt32LittleEndian(destination[(RemoteFrame.InfoSize + 4)..], AtomicUnit);
        BinaryPrimitives.WriteInt64LittleEndian(destination[(RemoteFrame.InfoSize + 8)..], IsRotational ? 1 : 0);
    }

    /// <exception cref="PeerFaultException">No device has such a status.</exception>
    internal static RemoteStatus Read(ReadOnlySpan<byte> source)
    {
        var info = MemoryMarshal.Read<AbuseInfo>(source);
        var features = (BlockFeatures)BinaryPrimitives.ReadUInt32LittleEndian(source[RemoteFrame.InfoSize..]);
        int atomic = BinaryPrimitives.ReadInt32LittleEndian(source[(RemoteFrame.InfoSize + 4)..]);
        long rotational = BinaryPrimitives.ReadInt64LittleEndian(source[(RemoteFrame.InfoSize + 8)..]);
        bool isBlock = info.BlockSize == 0
            || (info.BlockSize is >= BlockGeometry.SectorSize and <= BlockGeometry.MaxBlockSize && (info.BlockSize & (info.BlockSize - 1)) == 0);
        if (!isBlock || info.Size > long.MaxValue || (info.BlockSize == 0 ? info.Size != 0 : info.Size % info.BlockSize != 0)
            || (features & ~BlockFeatures.All) != 0 || atomic < 0 || rotational is not (0 or 1))
        {
            throw new PeerFaultException($"No device has such a status: {info}, {features}, atomic unit {atomic}.");
        }

        return new RemoteStatus(info, features, atomic, rotational == 1);
    }

    /// <summary>
    /// Has a stand-in show this. It admits what the device has admitted, whatever its size is by now, so that what it shows is for people; it has a
    /// place for every bio that there can be.
    /// </summary>
    internal void Configure(BioQueue standIn)
    {
        int blockSize = Info.BlockSize == 0 ? BlockGeometry.SectorSize : (int)Info.BlockSize;
        var geometry = new BlockGeometry((long)Info.Size, blockSize)
        {
            IsReadOnly = (Info.Flags & AbuseFlags.ReadOnly) != 0,
            Features = Features,
            IsRotational = IsRotational,
            AtomicUnit = AtomicUnit,
        };
        standIn.Follow(geometry);
    }
}
