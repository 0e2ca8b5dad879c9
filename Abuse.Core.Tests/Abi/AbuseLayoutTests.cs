using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The structs of 2009 byte by byte, as a program that was compiled against its header sees them.</summary>
[TestFixture]
public sealed class AbuseLayoutTests
{
    [Test]
    public void Abuse_info_is_48_bytes()
    {
        Assert.That(Unsafe.SizeOf<AbuseInfo>(), Is.EqualTo(48));
        Assert.That(Marshal.SizeOf<AbuseInfo>(), Is.EqualTo(48));
    }

    [Test]
    public void Abuse_xfr_hdr_is_40_bytes()
    {
        Assert.That(Unsafe.SizeOf<AbuseTransferHeader>(), Is.EqualTo(40));
        Assert.That(Marshal.SizeOf<AbuseTransferHeader>(), Is.EqualTo(40));
    }

    [Test]
    public void Abuse_vec_is_16_bytes()
    {
        Assert.That(Unsafe.SizeOf<AbuseVector>(), Is.EqualTo(16));
        Assert.That(Marshal.SizeOf<AbuseVector>(), Is.EqualTo(16));
    }

    [TestCase(nameof(AbuseInfo.Device), 0)]
    [TestCase(nameof(AbuseInfo.Size), 8)]
    [TestCase(nameof(AbuseInfo.Number), 16)]
    [TestCase(nameof(AbuseInfo.Flags), 20)]
    [TestCase(nameof(AbuseInfo.BlockSize), 24)]
    [TestCase(nameof(AbuseInfo.MaxQueue), 28)]
    [TestCase(nameof(AbuseInfo.QueueSize), 32)]
    [TestCase(nameof(AbuseInfo.Errors), 36)]
    [TestCase(nameof(AbuseInfo.MaxVectors), 40)]
    [TestCase(nameof(AbuseInfo.Padding), 44)]
    public void A_field_of_abuse_info_is_at(string field, int offset) =>
        Assert.That((int)Marshal.OffsetOf<AbuseInfo>(field), Is.EqualTo(offset));

    [TestCase(nameof(AbuseTransferHeader.Id), 0)]
    [TestCase(nameof(AbuseTransferHeader.Sector), 8)]
    [TestCase(nameof(AbuseTransferHeader.Command), 16)]
    [TestCase(nameof(AbuseTransferHeader.Result), 20)]
    [TestCase(nameof(AbuseTransferHeader.VectorCount), 24)]
    [TestCase(nameof(AbuseTransferHeader.VectorOffset), 28)]
    [TestCase(nameof(AbuseTransferHeader.TransferAddress), 32)]
    public void A_field_of_abuse_xfr_hdr_is_at(string field, int offset) =>
        Assert.That((int)Marshal.OffsetOf<AbuseTransferHeader>(field), Is.EqualTo(offset));

    [TestCase(nameof(AbuseVector.Address), 0)]
    [TestCase(nameof(AbuseVector.Length), 8)]
    [TestCase(nameof(AbuseVector.Offset), 12)]
    public void A_field_of_abuse_vec_is_at(string field, int offset) =>
        Assert.That((int)Marshal.OffsetOf<AbuseVector>(field), Is.EqualTo(offset));

    [Test]
    public void The_bytes_of_abuse_info_in_memory_are_those_of_2009()
    {
        var info = new AbuseInfo
        {
            Device = 0x0101010101010101,
            Size = 0x0202020202020202,
            Number = 3,
            Flags = AbuseFlags.ReadOnly | AbuseFlags.Reconnect,
            BlockSize = 5,
            MaxQueue = 6,
            QueueSize = 7,
            Errors = 8,
            MaxVectors = 9,
            Padding = 10,
        };
        byte[] expected = new byte[48];
        BinaryPrimitives.WriteUInt64LittleEndian(expected, 0x0101010101010101);
        BinaryPrimitives.WriteUInt64LittleEndian(expected.AsSpan(8), 0x0202020202020202);
        uint[] words = [3, 3, 5, 6, 7, 8, 9, 10];
        for (int i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(expected.AsSpan(16 + (4 * i)), words[i]);
        }

        Assert.That(MemoryMarshal.AsBytes([info]).ToArray(), Is.EqualTo(expected));
        Assert.That(MemoryMarshal.Read<AbuseInfo>(expected), Is.EqualTo(info));
    }

    [Test]
    public void The_bytes_of_abuse_xfr_hdr_in_memory_are_those_of_2009()
    {
        var header = new AbuseTransferHeader
        {
            Id = 0x1111111111111111,
            Sector = 0x2222222222222222,
            Command = AbuseCommand.Write,
            Result = AbuseAnswer.DeviceFailure,
            VectorCount = 256,
            VectorOffset = 4,
            TransferAddress = 0x3333333333333333,
        };
        byte[] expected = new byte[40];
        BinaryPrimitives.WriteUInt64LittleEndian(expected, 0x1111111111111111);
        BinaryPrimitives.WriteUInt64LittleEndian(expected.AsSpan(8), 0x2222222222222222);
        uint[] words = [1, 2, 256, 4];
        for (int i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(expected.AsSpan(16 + (4 * i)), words[i]);
        }

        BinaryPrimitives.WriteUInt64LittleEndian(expected.AsSpan(32), 0x3333333333333333);
        Assert.That(MemoryMarshal.AsBytes([header]).ToArray(), Is.EqualTo(expected));
        Assert.That(MemoryMarshal.Read<AbuseTransferHeader>(expected), Is.EqualTo(header));
    }

    [Test]
    public void The_bytes_of_abuse_vec_in_memory_are_those_of_2009()
    {
        var vector = new AbuseVector { Address = 0x4444444444444444, Length = 4096, Offset = 512 };
        byte[] expected = [0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0, 0x10, 0, 0, 0, 2, 0, 0];
        Assert.That(MemoryMarshal.AsBytes([vector]).ToArray(), Is.EqualTo(expected));
        Assert.That(MemoryMarshal.Read<AbuseVector>(expected), Is.EqualTo(vector));
    }
}
