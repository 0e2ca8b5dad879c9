using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The kernel's structures and numbers, against those that a C compiler finds in its header.</summary>
[TestFixture]
internal sealed class UblkLayoutTests
{
    private static readonly (Type Type, int Size, (string Field, int Offset, int Size)[] Fields)[] Layouts =
    [
        (typeof(UblkControlCommand), 32,
            [("Id", 0, 4), ("Queue", 4, 2), ("Length", 6, 2), ("Address", 8, 8), ("Data", 16, 8), ("PathLength", 24, 2)]),
        (typeof(UblkDevInfo), 64,
            [("Queues", 0, 2), ("QueueDepth", 2, 2), ("State", 4, 2), ("DescriptorSize", 6, 2), ("MaxRequestSize", 8, 4), ("Id", 12, 4),
             ("Pid", 16, 4), ("Flags", 24, 8), ("ServerFlags", 32, 8), ("OwnerUid", 40, 4), ("OwnerGid", 44, 4)]),
        (typeof(UblkIoDescriptor), 24, [("OpFlags", 0, 4), ("Sectors", 4, 4), ("StartSector", 8, 8), ("Address", 16, 8)]),
        (typeof(UblkIoCommandPayload), 16, [("Queue", 0, 2), ("Tag", 2, 2), ("Result", 4, 4), ("Address", 8, 8)]),
        (typeof(UblkAutoBufReg), 8, [("Index", 0, 2), ("Flags", 2, 1)]),
        (typeof(UblkParams), 152,
            [("Length", 0, 4), ("Types", 4, 4),
             ("Attributes", 8, 4), ("LogicalShift", 12, 1), ("PhysicalShift", 13, 1), ("OptimalShift", 14, 1), ("MinimumShift", 15, 1),
             ("MaxSectors", 16, 4), ("ChunkSectors", 20, 4), ("Sectors", 24, 8), ("VirtBoundaryMask", 32, 8),
             ("DiscardAlignment", 40, 4), ("DiscardGranularity", 44, 4), ("MaxDiscardSectors", 48, 4), ("MaxWriteZeroesSectors", 52, 4),
             ("MaxDiscardSegments", 56, 2),
             ("CharMajor", 60, 4), ("CharMinor", 64, 4), ("DiskMajor", 68, 4), ("DiskMinor", 72, 4),
             ("MaxOpenZones", 76, 4), ("MaxActiveZones", 80, 4), ("MaxZoneAppendSectors", 84, 4),
             ("DmaAlignment", 108, 4),
             ("SegmentBoundaryMask", 120, 8), ("MaxSegmentSize", 128, 4), ("MaxSegments", 132, 2),
             ("IntegrityFlags", 136, 4), ("MaxIntegritySegments", 140, 2), ("IntervalExponent", 142, 1), ("MetadataSize", 143, 1),
             ("PiOffset", 144, 1), ("ChecksumType", 145, 1), ("TagSize", 146, 1)]),
    ];

    [TestCaseSource(nameof(Types))]
    public void A_structure_has_the_kernels_size_and_fields_and_no_others(Type type)
    {
        (_, int size, (string Field, int Offset, int Size)[] fields) = Layouts.Single(layout => layout.Type == type);
        System.Reflection.FieldInfo[] there = type.GetFields(System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Public);
        (string, int, int)[] found = [.. there.Select(field => (field.Name, (int)Marshal.OffsetOf(type, field.Name), SizeOf(field.FieldType)))];
        Assert.That(Marshal.SizeOf(type), Is.EqualTo(size));
        Assert.That(found, Is.EquivalentTo(fields));
    }

    [Test]
    public void Structures_are_as_large_in_memory_as_they_are_for_the_kernel()
    {
        Assert.That(Unsafe.SizeOf<UblkControlCommand>(), Is.EqualTo(32));
        Assert.That(Unsafe.SizeOf<UblkDevInfo>(), Is.EqualTo(64));
        Assert.That(Unsafe.SizeOf<UblkIoDescriptor>(), Is.EqualTo(UblkAbi.DescriptorSize));
        Assert.That(Unsafe.SizeOf<UblkIoCommandPayload>(), Is.EqualTo(16));
        Assert.That(Unsafe.SizeOf<UblkAutoBufReg>(), Is.EqualTo(8));
        Assert.That(Unsafe.SizeOf<UblkParams>(), Is.EqualTo(UblkAbi.ParamsLength));
    }

    [Test]
    public void A_device_info_lies_in_memory_as_the_kernel_reads_it()
    {
        var info = new UblkDevInfo { Queues = 0x0102, QueueDepth = 0x0304, MaxRequestSize = 0x05060708, Id = 0x090A0B0C, Flags = UblkFeatures.UserCopy, ServerFlags = 0x1112131415161718 };
        byte[] bytes = MemoryMarshal.AsBytes(MemoryMarshal.CreateReadOnlySpan(ref info, 1)).ToArray();
        Assert.That(Convert.ToHexString(bytes), Is.EqualTo(
            "02010403" + "00000000" + "08070605" + "0C0B0A09" + "00000000" + "00000000" + "8000000000000000" + "1817161514131211" + new string('0', 48)));
    }

    [TestCase(UblkCommand.GetQueueAffinity, 2, 0x01)]
    [TestCase(UblkCommand.GetDevInfo, 2, 0x02)]
    [TestCase(UblkCommand.AddDev, 3, 0x04)]
    [TestCase(UblkCommand.DelDev, 3, 0x05)]
    [TestCase(UblkCommand.StartDev, 3, 0x06)]
    [TestCase(UblkCommand.StopDev, 3, 0x07)]
    [TestCase(UblkCommand.SetParams, 3, 0x08)]
    [TestCase(UblkCommand.GetParams, 2, 0x09)]
    [TestCase(UblkCommand.StartUserRecovery, 3, 0x10)]
    [TestCase(UblkCommand.EndUserRecovery, 3, 0x11)]
    [TestCase(UblkCommand.GetDevInfo2, 2, 0x12)]
    [TestCase(UblkCommand.GetFeatures, 2, 0x13)]
    [TestCase(UblkCommand.DelDevAsync, 2, 0x14)]
    [TestCase(UblkCommand.UpdateSize, 3, 0x15)]
    [TestCase(UblkCommand.QuiesceDev, 3, 0x16)]
    [TestCase(UblkCommand.TryStopDev, 3, 0x17)]
    [TestCase(UblkCommand.RegBuf, 3, 0x18)]
    [TestCase(UblkCommand.UnregBuf, 3, 0x19)]
    public void A_control_command_is_encoded_as_an_ioctl_of_32_bytes(object command, int direction, int number) =>
        Assert.That((uint)(UblkCommand)command, Is.EqualTo(Ioctl(direction, 32, number)));

    [Test]
    public void Commands_on_the_character_device_are_encoded_as_ioctls_of_16_bytes_in_a_row()
    {
        uint[] found = [.. Enum.GetValues<UblkIoCommand>().Select(static command => (uint)command)];
        Assert.That(found, Is.EqualTo(Enumerable.Range(0x20, 8).Select(static number => Ioctl(3, 16, number))));
    }

    [TestCase(0, 0, 0, 0x8000_0000L)]
    [TestCase(0, 1, 0, 0x8200_0000L)]
    [TestCase(1, 0, 0, 0x200_8000_0000L)]
    [TestCase(3, 5, 4096, 0x600_8A00_1000L)]
    [TestCase(4095, 4095, (32 << 20) - 1, 0x1F_FE20_7FFF_FFFFL)]
    public void The_position_of_a_buffer_is_its_queue_tag_and_offset(int queue, int tag, int offset, long position) =>
        Assert.That(UblkAbi.BufferPosition(queue, tag, offset), Is.EqualTo(position));

    [TestCase(1, 4096, 4096)]
    [TestCase(170, 4096, 4096)]
    [TestCase(171, 4096, 8192)]
    [TestCase(4096, 4096, 98304)]
    [TestCase(128, 65536, 65536)]
    public void Descriptors_of_a_queue_take_whole_pages(int depth, int pageSize, int length) =>
        Assert.That(UblkAbi.DescriptorsLength(depth, pageSize), Is.EqualTo(length));

    [TestCase(0, 4096, 0L)]
    [TestCase(1, 4096, 98304L)]
    [TestCase(4095, 4096, 402554880L)]
    [TestCase(2, 65536, 262144L)]
    public void Descriptors_of_a_queue_begin_behind_the_room_of_the_deepest_ones(int queue, int pageSize, long offset) =>
        Assert.That(UblkAbi.DescriptorsOffset(queue, pageSize), Is.EqualTo(offset));

    [Test]
    public void A_buffer_to_register_travels_as_an_address()
    {
        var buffer = new UblkAutoBufReg { Index = 0x1234, Flags = UblkAbi.AutoBufRegFallback };
        Assert.That(buffer.ToAddress(), Is.EqualTo(0x1_1234));
    }

    [Test]
    public void The_operation_of_a_descriptor_is_its_low_byte()
    {
        var descriptor = new UblkIoDescriptor { OpFlags = UblkAbi.IoFua | UblkAbi.IoMeta | (uint)UblkOp.Write };
        Assert.That(descriptor.Op, Is.EqualTo(UblkOp.Write));
    }

    [Test]
    public void Feature_bits_are_numbered_as_the_kernel_numbers_them()
    {
        string[] names =
        [
            "SupportZeroCopy", "UringCmdCompInTask", "NeedGetData", "UserRecovery", "UserRecoveryReissue", "UnprivilegedDev", "CmdIoctlEncode",
            "UserCopy", "Zoned", "UserRecoveryFailIo", "UpdateSize", "AutoBufReg", "Quiesce", "PerIoDaemon", "BufRegOffDaemon", "BatchIo",
            "Integrity", "SafeStopDev", "NoAutoPartScan", "ShmemZc", "IoDescSize",
        ];
        Assert.That(names.Select(static name => (ulong)Enum.Parse<UblkFeatures>(name)), Is.EqualTo(Enumerable.Range(0, 21).Select(static bit => 1UL << bit)));
        Assert.That(Enum.GetNames<UblkFeatures>(), Has.Length.EqualTo(22), "and None");
    }

    private static Type[] Types() => [.. Layouts.Select(static layout => layout.Type)];

    private static int SizeOf(Type type) => Marshal.SizeOf(type.IsEnum ? Enum.GetUnderlyingType(type) : type);

    private static uint Ioctl(int direction, int size, int number) => ((uint)direction << 30) | ((uint)size << 16) | ((uint)'u' << 8) | (uint)number;
}
